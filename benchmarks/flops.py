"""How many operations a training step needs, counted from the architecture.

A multiplication and an addition are two. Only convolutions, dense layers and the loss
are counted; backward costs twice forward, and both views go through the network.
"""

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
_BOTTLENECKS = {50}
_DIRECTIONS = 3  # forward, and backward to inputs and to weights
_VIEWS = 2


def step(depth, width, stem, size, projector, batch, gram):
    """Counts the floating-point operations of a training step.

    Args:
        depth: int, 18 or 50.
        width: float, multiplies all channels.
        stem: `"imagenet"` or `"cifar"`.
        size: int, pixels.
        projector: sequence of int, widths.
        batch: int, N.
        gram: bool, whether the loss may take N x N in place of D x D products.

    Returns:
        int.
    """
    features, macs = _resnet(depth, width, stem, size)
    for out in projector:
        macs += features * out
        features = out
    return 2 * macs * _DIRECTIONS * _VIEWS * batch + loss(batch, features, gram)


def loss(n, d, gram):
    """The loss, forward and backward: 6ND², or 8N²D if that is less and allowed."""
    correlation = 6 * n * d * d
    return min(correlation, 8 * n * n * d) if gram else correlation


def _resnet(depth, width, stem, size):
    """(feature dimension, multiply-adds of an image)"""
    base = round(64 * width)
    kernel = 7 if stem == "imagenet" else 3
    size = size if stem == "cifar" else -(-size // 2)
    macs = kernel**2 * 3 * base * size**2
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
    return channels, macs
