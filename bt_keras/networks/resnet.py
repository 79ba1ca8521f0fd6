"""ResNet backbones with torchvision's arithmetic (He et al., arXiv 1512.03385).

This is the v1.5 variant: the stride of a bottleneck is in its 3x3 convolution. Strided
convolutions are padded symmetrically, unlike Keras's `padding="same"`. Layers have
torchvision's names with underscores for dots (`layer1_0_conv2`); `bt_keras.convert`
relies on these names.
"""

from __future__ import annotations

import keras

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.networks.batch_norm import BatchNormalization
from bt_keras.networks.convolution import Conv2D

# Depth to (residual block, number of blocks in each of the four stages).
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
EXPANSION = {"basic": 1, "bottleneck": 4}
STEMS = ("imagenet", "cifar")


def resnet(
    depth: int,
    width: float = 1.0,
    stem: str = "imagenet",
    input_shape: tuple = (None, None, 3),
    features: int = 0,
) -> keras.Model:
    """Builds a ResNet (https://arxiv.org/abs/1512.03385) with pooled features.

    Args:
        depth: Integer, one of 18, 34, 50, 101, 152.
        width: Float > 0, multiplies the channels of every stage. 1.0 gives the
            network of the paper, with 64, 128, 256 and 512 channels in its stages
            (bottleneck blocks output four times as many). Defaults to `1.0`.
        stem: `"imagenet"` for a 7x7 convolution of stride 2 and 3x3 max pooling of
            stride 2; `"cifar"` for one 3x3 convolution of stride 1, for images of
            about 32 x 32 pixels. Defaults to `"imagenet"`.
        input_shape: Tuple `(height, width, channels)`, with `None` for sizes that may
            vary. Defaults to `(None, None, 3)`.
        features: Integer >= 0, the number of features. If positive, a 1x1 convolution
            to this many channels, batch norm and ReLU follow the last stage, similar to
            MobileNetV2 (https://arxiv.org/abs/1801.04381). This can help linear
            classifiers of narrow networks. Defaults to `0`: the features are the
            channels of the last stage.

    Returns:
        `keras.Model` from float images (N, H, W, C), normalized with the mean and
        standard deviation of the training data, to features (N, F). F is `features`
        if positive, otherwise 512 * width for depths 18 and 34, and 2048 * width for
        the other depths.

    Raises:
        UsageError: If `depth` or `stem` is unknown, or `width`, `input_shape` or
            `features` has the wrong type or is out of range.

    Example:

    >>> backbone = bt_keras.resnet(18, width=0.25, stem="cifar")
    >>> backbone.output_shape
    (None, 128)
    >>> bt_keras.resnet(18, width=0.25, stem="cifar", features=512).output_shape
    (None, 512)
    """
    depth = checks.choice("depth", depth, sorted(DEPTHS))
    stem = checks.choice("stem", stem, STEMS)
    width = checks.number("width", width, checks.POSITIVE)
    features = checks.number("features", features, checks.WHOLE)
    _check_input_shape(input_shape)
    block_name, blocks = DEPTHS[depth]
    block = {"basic": _basic_block, "bottleneck": _bottleneck_block}[block_name]
    base = max(round(64 * width), 1)

    inputs = keras.Input(input_shape, name="images")
    x = _stem(inputs, base, stem)
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            name = f"layer{stage + 1}_{index}_"
            x = block(x, base * 2**stage, stride, name)
    if features:
        x = _conv(x, features, 1, 1, "head_conv")
        x = _relu(_norm(x, "head_bn"), "head_relu")
    pooled = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", name="avgpool"
    )(x)
    return keras.Model(inputs, pooled, name=f"resnet{depth}")


def _check_input_shape(shape):
    is_valid = isinstance(shape, (tuple, list)) and len(shape) == 3
    sides = [side for side in shape[:2] if side is not None] if is_valid else []
    if not is_valid or not all(map(checks.COUNT.accepts, [*sides, shape[2]])):
        raise UsageError(
            f"input_shape={checks.described(shape)} must be (height, width, channels), "
            "ints > 0, with None for sides that may vary."
        )


def _conv(x, filters, size, stride, name):
    """Convolution without bias, padded by `size // 2` on every side."""
    padding = "same"
    if stride > 1 and size > 1:
        pad = keras.layers.ZeroPadding2D(
            size // 2, data_format="channels_last", name=name + "_pad"
        )
        x, padding = pad(x), "valid"
    return Conv2D(
        filters,
        size,
        stride,
        padding,
        data_format="channels_last",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        name=name,
    )(x)


def _norm(x, name, zero=False):
    initializer = "zeros" if zero else "ones"
    return BatchNormalization(gamma_initializer=initializer, name=name)(x)


def _relu(x, name):
    return keras.layers.ReLU(name=name)(x)


def _stem(x, filters, stem):
    if stem == "cifar":
        return _relu(_norm(_conv(x, filters, 3, 1, "conv1"), "bn1"), "relu")
    x = _relu(_norm(_conv(x, filters, 7, 2, "conv1"), "bn1"), "relu")
    # Padding with 0 does not change the maximum: outputs of a ReLU are not negative.
    x = keras.layers.ZeroPadding2D(1, data_format="channels_last", name="maxpool_pad")(
        x
    )
    return keras.layers.MaxPooling2D(3, 2, data_format="channels_last", name="maxpool")(
        x
    )


def _basic_block(x, filters, stride, name):
    y = _conv(x, filters, 3, stride, name + "conv1")
    y = _relu(_norm(y, name + "bn1"), name + "relu1")
    y = _conv(y, filters, 3, 1, name + "conv2")
    return _residual(x, _norm(y, name + "bn2", zero=True), stride, name)


def _bottleneck_block(x, filters, stride, name):
    y = _conv(x, filters, 1, 1, name + "conv1")
    y = _relu(_norm(y, name + "bn1"), name + "relu1")
    y = _conv(y, filters, 3, stride, name + "conv2")
    y = _relu(_norm(y, name + "bn2"), name + "relu2")
    y = _conv(y, filters * EXPANSION["bottleneck"], 1, 1, name + "conv3")
    return _residual(x, _norm(y, name + "bn3", zero=True), stride, name)


def _subsample(x, stride, name):
    """Takes every `stride`-th pixel, before a 1x1 convolution.

    With the stride in the convolution itself, oneDNN computes wrong kernel gradients
    below 16 channels, with errors of 100 % that change from call to call (TensorFlow
    2.21 on a CPU with AVX2).
    """
    if stride == 1:
        return x
    return keras.layers.AveragePooling2D(
        1, stride, data_format="channels_last", name=name
    )(x)


def _residual(x, y, stride, name):
    """Adds the input of a block, through a 1x1 convolution if the shapes differ."""
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = _subsample(x, stride, name + "downsample_pool")
        x = _conv(x, y.shape[-1], 1, 1, name + "downsample_0")
        x = _norm(x, name + "downsample_1")
    return _relu(keras.layers.Add(name=name + "add")([x, y]), name + "relu")
