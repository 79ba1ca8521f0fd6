"""ResNet-18 on the 100,000 unlabeled images of STL-10, for an accelerator.

bt-keras pretrain --config configs/stl10.py --workdir runs/stl10
bt-keras evaluate --workdir runs/stl10 --train_split=train

The labeled images are in another split than those of the training.

Not trained here: checked for a few steps on random images of this size.
"""

from bt_keras.config import default


def get_config():
    config = default()
    config.data.source = "tfds:stl10"
    config.data.train_split = "unlabelled"
    config.data.test_split = "test"
    config.views.size = 96
    config.backbone.depth = 18
    config.projector = (2048, 2048, 2048)
    config.batch_size = 256
    config.epochs = 200
    config.optimizer.learning_rate = 0.3
    config.optimizer.bias_learning_rate = 0.03
    config.optimizer.options.trust_coefficient = 0.02
    config.optimizer.options.weight_decay = 1e-3
    return config
