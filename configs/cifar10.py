"""A quarter-width ResNet-18 on CIFAR-10, for one machine without an accelerator.

bt-keras pretrain --config configs/cifar10.py --workdir runs/cifar10

On 2 cores with AMX and `--config.precision=mixed_bfloat16` it trained for 86 minutes:
70.1 % by kNN, 73.0 % by the linear probe of `bt-keras evaluate`, one seed.
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
    config.epochs = 60
    config.optimizer.learning_rate = 0.3
    config.optimizer.bias_learning_rate = 0.03
    config.optimizer.warmup_epochs = 4.0
    config.optimizer.options.trust_coefficient = 0.02
    config.optimizer.options.weight_decay = 1e-4
    config.evaluation.resize_ratio = 1.0
    return config
