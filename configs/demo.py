"""A few minutes on two cores: the shipped Fashion-MNIST images, a small ResNet-18.

bt-keras pretrain --config configs/demo.py --workdir runs/demo
"""

from bt_keras.config import default


def get_config():
    config = default()
    config.data.source = "shipped"
    config.data.test_split = "test"
    config.views.size = 28
    config.views.recipe = "small"
    config.backbone.depth = 18
    config.backbone.width = 0.25
    config.backbone.stem = "cifar"
    config.projector = (512, 512, 512)
    config.batch_size = 256
    config.epochs = 12
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_epochs = 2.0
    config.optimizer.options = {"weight_decay": 1e-4}
    config.evaluation.resize_ratio = 1.0
    return config
