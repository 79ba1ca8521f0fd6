"""A small ResNet-18 on the included Fashion-MNIST images: minutes on two CPU cores.

bt-keras pretrain --config configs/demo.py --workdir runs/demo
"""

from bt_keras.config import default


def get_config():
    config = default()
    config.data.source = "shipped"
    config.data.test_split = "test"
    # Twice the images' 28 pixels: the stem reduces them to 14.
    config.views.size = 56
    config.views.recipe = "small"
    config.backbone.depth = 18
    config.backbone.width = 0.25
    config.projector = (512, 512, 512)
    config.batch_size = 128
    config.epochs = 6
    # Larger learning rates, because there are only a few hundred steps.
    config.optimizer.learning_rate = 0.4
    config.optimizer.bias_learning_rate = 0.01
    config.optimizer.warmup_epochs = 1.0
    config.optimizer.options.trust_coefficient = 0.02
    config.optimizer.options.weight_decay = 1e-4
    config.evaluation.resize_ratio = 1.0
    # Chosen on a fifth of the training images, separately for both networks.
    for training in (config.evaluation.semi, config.evaluation.finetune):
        training.epochs = 5
        training.min_steps = 400
        training.batch_size = 64
        training.learning_rate = 0.05
        training.head_learning_rate = 0.1
        training.scratch_learning_rate = 0.3
    return config
