"""A quarter-width ResNet-18 on the included Fashion-MNIST images.

python -m export rebuild fashion_mnist_resnet18_w25
"""

from bt_keras.config import load

LICENSE = "Apache-2.0"
TRANSFER = ("tfds:cifar10",)
LIMITS = (
    "Photographs. Its 10,000 training images are gray pictures of 28 x 28 pixels, each "
    "of one article of clothing, enlarged to 56 pixels: see its low accuracy on "
    "CIFAR-10 above.",
    "Comparisons with published results of a ResNet-18: it has a quarter of the width.",
    "Decisions in which an error does harm: neither its bias nor its robustness was "
    "tested.",
)


def get_config():
    config = load("demo")
    config.epochs = 15
    return config
