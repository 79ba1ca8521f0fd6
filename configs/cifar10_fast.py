"""A quarter-width ResNet-18 with 4,096 features on CIFAR-10, for a CPU.

bt-keras pretrain --config configs/cifar10_fast.py --workdir runs/cifar10_fast

It trains on views of 24 pixels, about the mean side of its crops, and is evaluated on
32. It needs 736 TFLOP, configs/cifar10.py 1.34 PFLOP. On 2 cores with AVX-512, in
float32, it took 108 minutes, while other programs ran at times. On JPEG copies of the
images it reached 70.2 % by kNN and 78.4 % by the linear probe of `bt-keras evaluate`,
one seed.
"""

from bt_keras.config import load


def get_config():
    config = load("cifar10")
    config.views.size = 24
    config.views.a.crop_scale = config.views.b.crop_scale = (0.2, 1.0)
    config.evaluation.size = 32
    config.backbone.features = 4096
    # The more features, the smaller the best rate of the probe.
    config.evaluation.linear.rates = "grid"
    config.lambd = 0.01
    config.batch_size = 128
    config.epochs = 40
    config.optimizer.warmup_epochs = 2.0
    return config
