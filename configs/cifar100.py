"""ResNet-18 on CIFAR-100, for an accelerator.

bt-keras pretrain --config configs/cifar100.py --workdir runs/cifar100

The recipe is that of solo-learn, which reports 70.9 % (online linear probe). Its loss
is a tenth of ours, so that its weight decay of 1e-4 is 1e-3 here.

Not trained here: checked for a few steps on random images of this size.
"""

from bt_keras.config import default


def get_config():
    config = default()
    config.data.source = "tfds:cifar100"
    config.data.test_split = "test"
    config.views.size = 32
    config.views.recipe = "small"
    config.backbone.depth = 18
    config.backbone.stem = "cifar"
    config.projector = (2048, 2048, 2048)
    config.batch_size = 256
    config.optimizer.learning_rate = 0.3
    config.optimizer.bias_learning_rate = 0.03
    config.optimizer.options.trust_coefficient = 0.02
    config.optimizer.options.weight_decay = 1e-3
    config.evaluation.resize_ratio = 1.0
    return config
