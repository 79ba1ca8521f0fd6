"""Computes the number of operations of a training step from the architecture.

A multiply-add counts as two operations. Only convolutions, dense layers and the loss
are counted. A backward pass costs twice a forward pass, for each of the two views, but
the first convolution has no gradient with respect to the images.
"""

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
_BOTTLENECKS = {50}
_DIRECTIONS = 3  # forward, and backward to inputs and to weights
_VIEWS = 2
# As in `bt_keras.losses`; a test compares the number with the products of its graph.
_GRAM_UP_TO = 0.75
_MIN_ROWS_OF_STRIPS = 512


def step(depth, width, stem, size, projector, batch, gram):
    """Computes the floating-point operations of a training step.

    Args:
        depth: Integer, 18 or 50.
        width: Float, factor on all channels.
        stem: `"imagenet"` or `"cifar"`.
        size: Integer, side of the images in pixels.
        projector: Sequence of ints, the widths of its layers.
        batch: Integer, N.
        gram: Boolean, whether the loss may use N x N instead of D x D products.

    Returns:
        Integer.
    """
    features, macs, macs_of_first = _resnet(depth, width, stem, size)
    for out in projector:
        macs += features * out
        features = out
    macs = _DIRECTIONS * macs - macs_of_first
    return 2 * macs * _VIEWS * batch + loss(batch, features, gram)


def loss(n, d, gram):
    """Operations of the loss on one CPU, forward and backward.

    Args:
        n: Integer, N.
        d: Integer, D.
        gram: Boolean, whether N x N products are used if they are faster, as by
            `bt_keras`. They are 8N²D operations, or 6.5N²D if only five eighths of the
            symmetric matrices are computed. D x D products are 6ND².

    Returns:
        Integer.
    """
    if not gram or n >= _GRAM_UP_TO * d:
        return 6 * n * d * d
    computed = 5 / 8 if n >= _MIN_ROWS_OF_STRIPS else 1
    return round((4 * computed + 4) * n * n * d)


def _resnet(depth, width, stem, size):
    """Returns (feature dimension, multiply-adds per image, those of the first)."""
    base = round(64 * width)
    kernel = 7 if stem == "imagenet" else 3
    size = size if stem == "cifar" else -(-size // 2)
    macs = macs_of_first = kernel**2 * 3 * base * size**2
    if stem == "imagenet":
        size = -(-size // 2)  # the pooling
    channels = base
    for stage, blocks in enumerate(_BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inside, before = base * 2**stage, size
            size = -(-size // stride)
            if depth in _BOTTLENECKS:
                out = 4 * inside
                macs += channels * inside * before**2
                macs += (9 * inside * inside + inside * out) * size**2
            else:
                out = inside
                macs += 9 * (channels + inside) * inside * size**2
            if stride > 1 or channels != out:
                macs += channels * out * size**2
            channels = out
    return channels, macs, macs_of_first
