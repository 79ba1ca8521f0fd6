"""ResNet-18 on 100 classes of ImageNet, for an accelerator.

bt-keras pretrain --config configs/imagenet100.py --workdir runs/imagenet100

`data/imagenet100` has a folder for each class in train/ and in val/. The recipe is that
of solo-learn, which reports 80.4 % (online linear probe). Its loss is a tenth of ours,
so that its weight decay of 1e-4 is 1e-3 here.

Not trained here: checked for a few steps on random images of this size.
"""

from bt_keras.config import default


def get_config():
    config = default()
    config.data.source = "data/imagenet100"
    config.data.layout = "splits"
    config.data.test_split = "val"
    config.backbone.depth = 18
    config.projector = (2048, 2048, 2048)
    config.batch_size = 256
    config.epochs = 400
    config.optimizer.learning_rate = 0.3
    config.optimizer.bias_learning_rate = 0.03
    config.optimizer.options.trust_coefficient = 0.02
    config.optimizer.options.weight_decay = 1e-3
    return config
