"""configs/cifar10.py with AdamW, which PyTorch has, too."""

from bt_keras.config import load


def get_config():
    config = load("cifar10")
    config.epochs = 1
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_epochs = 0.0
    config.optimizer.options = {"weight_decay": 1e-4}
    return config
