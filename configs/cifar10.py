"""A quarter-width ResNet-18 on CIFAR-10, for one machine without an accelerator.

bt-keras pretrain --config configs/cifar10.py --workdir runs/cifar10
"""

from bt_keras.config import default


def get_config():
    config = default()
    config.data.source = "tfds:cifar10"
    config.data.test_split = "test"
    config.views.size = 32
    config.views.recipe = "small"
    config.backbone.depth = 18
    config.backbone.width = 0.25
    config.backbone.stem = "cifar"
    config.projector = (1024, 1024, 1024)
    config.batch_size = 256
    config.epochs = 20
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_epochs = 2.0
    config.optimizer.options = {"weight_decay": 1e-4}
    config.evaluation.resize_ratio = 1.0
    return config
