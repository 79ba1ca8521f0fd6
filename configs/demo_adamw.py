"""The demo with AdamW instead of LARS, for comparison.

bt-keras pretrain --config configs/demo_adamw.py --workdir runs/demo_adamw
"""

from bt_keras.config import load


def get_config():
    config = load("demo")
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.options = {"weight_decay": 1e-4}
    return config
