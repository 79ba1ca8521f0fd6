"""ResNet backbones with torchvision's arithmetic (He et al., arXiv 1512.03385).

The v1.5 variant: a bottleneck strides in its 3x3 convolution. Strided convolutions
pad symmetrically, which Keras's "same" does not. Layers carry torchvision's names
with underscores for dots (`layer1_0_conv2`), which is how `bt_keras.convert` finds
them.
"""

import keras

from bt_keras.errors import UsageError
from bt_keras.networks.batch_norm import BatchNormalization

# depth: (residual block, blocks in each of the four stages)
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
EXPANSION = {"basic": 1, "bottleneck": 4}
STEMS = ("imagenet", "cifar")


def resnet(depth, width=1.0, stem="imagenet", input_shape=(None, None, 3)):
    """Builds a ResNet that maps images to pooled features.

    Args:
        depth: int, one of 18, 34, 50, 101, 152.
        width: float > 0, multiplies the channels of every stage; 1.0 is the paper's
            network (64, 128, 256, 512 channels, four times that out of bottlenecks).
        stem: `"imagenet"`, a 7x7 convolution of stride 2 and a 3x3 max pooling of
            stride 2; or `"cifar"`, one 3x3 convolution of stride 1, for images of
            about 32 x 32 pixels.
        input_shape: tuple (height, width, channels), None where it may vary.

    Returns:
        A `keras.Model`, float images (N, H, W, C), normalised with the mean and
        standard deviation of the training data, to features (N, F), F being
        512 * width (depths 18 and 34) or 2048 * width.

    Raises:
        UsageError: for an unknown depth or stem, or a width that is not positive.

    Example:

    >>> backbone = bt_keras.resnet(18, width=0.25, stem="cifar")
    >>> backbone.output_shape
    (None, 128)
    """
    if depth not in DEPTHS:
        raise UsageError(f"depth={depth!r} is not one of {sorted(DEPTHS)}.")
    if stem not in STEMS:
        raise UsageError(f"stem={stem!r} is not one of {', '.join(STEMS)}.")
    if not width > 0:
        raise UsageError(f"width={width!r} must be greater than 0.")
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
    features = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", name="avgpool"
    )(x)
    return keras.Model(inputs, features, name=f"resnet{depth}")


def _conv(x, filters, size, stride, name):
    """A convolution without bias, padded by `size // 2` on every side."""
    padding = "same"
    if stride > 1 and size > 1:
        pad = keras.layers.ZeroPadding2D(
            size // 2, data_format="channels_last", name=name + "_pad"
        )
        x, padding = pad(x), "valid"
    return keras.layers.Conv2D(
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
    # What follows a ReLU is not negative, so that padding with 0 cannot win.
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
    """Every `stride`-th pixel, for a convolution of 1x1.

    With the stride in the convolution, as others have it, oneDNN's gradient of the
    kernel is wrong below 16 channels, by as much as it is large, and another one each
    time (TensorFlow 2.21 on a CPU with AVX2).
    """
    if stride == 1:
        return x
    return keras.layers.AveragePooling2D(
        1, stride, data_format="channels_last", name=name
    )(x)


def _residual(x, y, stride, name):
    """Adds the block's input, through a 1x1 convolution where the shapes differ."""
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = _subsample(x, stride, name + "downsample_pool")
        x = _conv(x, y.shape[-1], 1, 1, name + "downsample_0")
        x = _norm(x, name + "downsample_1")
    return _relu(keras.layers.Add(name=name + "add")([x, y]), name + "relu")
