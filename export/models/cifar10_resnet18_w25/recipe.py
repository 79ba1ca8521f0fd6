"""A quarter-width ResNet-18 on CIFAR-10.

python -m export rebuild cifar10_resnet18_w25
"""

from bt_keras.config import load

LICENSE = "Apache-2.0"
TRANSFER = ("shipped",)
LIMITS = (
    "Large images. Its training images are photographs of 32 x 32 pixels, and its stem "
    "does not reduce them: an image of 224 pixels takes 49 times as long.",
    "Comparisons with published results of a ResNet-18: it has a quarter of the width.",
    "Decisions in which an error does harm: neither its bias nor its robustness was "
    "tested.",
    "Products that may contain only weights of licensed images: the authors of "
    "CIFAR-10 state no license.",
)


def get_config():
    config = load("cifar10_fast")
    # At most 4 MB.
    config.backbone.features = 1536
    config.epochs = 50
    # The best of 0.03, 0.01 and 0.003 on a tenth of the training images.
    config.evaluation.linear.rates = "paper"
    config.evaluation.linear.learning_rate = 0.003
    return config
