"""Seeded weights, statistics and images for comparing implementations.

All arrays are pure functions of a seed, computed with NumPy, so that two frameworks use
the same network and pixels without exchanging files. Names and layouts are those of
PyTorch: torchvision's ResNet names, and `backbone.*`, `projector.*` and `bn.*` of the
released Barlow Twins checkpoint.
"""

import zlib

import numpy as np

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])

# Small residual branches keep rounding errors small, so that float32 and float64 agree
# over several training steps. With statistics that do not belong to the data, 50 blocks
# would otherwise double the variance 50 times.
RESIDUAL_SCALE = 0.2

# A rounding error that changes the sign of one ReLU's input changes all gradients of
# earlier layers. Batch norms with biases of 2 scales leave few inputs near 0.
BIAS_RATIO = 2.0


def _rng(seed, name):
    """Returns a generator for one array, so that the order of arrays is irrelevant."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _kernel(seed, name, shape):
    """Returns He-scaled convolution (out, in, h, w) or linear (out, in) weights."""
    scale = np.sqrt(2.0 / np.prod(shape[1:]))
    return {name: scale * _rng(seed, name).standard_normal(shape)}


def _batch_norm(seed, name, channels, scale=1.0, affine=True):
    """Returns scales in [0.5, 1.5] * `scale`, variances in [0.5, 2], a small rest."""

    def draw(part):
        return _rng(seed, f"{name}.{part}")

    state = {
        f"{name}.running_mean": 0.1 * draw("running_mean").standard_normal(channels),
        f"{name}.running_var": draw("running_var").uniform(0.5, 2.0, channels),
    }
    if affine:
        state[f"{name}.weight"] = scale * draw("weight").uniform(0.5, 1.5, channels)
        state[f"{name}.bias"] = 0.1 * draw("bias").standard_normal(channels)
    return state


def _block(seed, name, inputs, width, bottleneck, strided):
    """Returns the arrays and the number of output channels of a residual block."""
    outputs = 4 * width if bottleneck else width
    sizes = [(width, inputs, 1), (width, width, 3), (outputs, width, 1)]
    if not bottleneck:
        sizes = [(width, inputs, 3), (width, width, 3)]
    state = {}
    for i, (fan_out, fan_in, k) in enumerate(sizes, 1):
        scale = RESIDUAL_SCALE if i == len(sizes) else 1.0
        state |= _kernel(seed, f"{name}.conv{i}.weight", (fan_out, fan_in, k, k))
        state |= _batch_norm(seed, f"{name}.bn{i}", fan_out, scale)
    if strided or inputs != outputs:
        shape = (outputs, inputs, 1, 1)
        state |= _kernel(seed, f"{name}.downsample.0.weight", shape)
        state |= _batch_norm(seed, f"{name}.downsample.1", outputs)
    return state, outputs


def _distant_biases(state):
    """Moves biases away from 0 by `BIAS_RATIO` scales."""
    distant = {}
    for name in (name for name in state if name.endswith(".bias")):
        ratio = BIAS_RATIO * np.sign(state[name]) + state[name]
        distant[name] = ratio * state[name.replace(".bias", ".weight")]
    return _float32(distant)


def _float32(state):
    return {name: value.astype(np.float32) for name, value in state.items()}


def resnet_state(depth, seed, width=64, stem="imagenet"):
    """Generates well-conditioned weights and statistics of a ResNet without `fc`.

    Args:
        depth: Integer, one of 18, 34, 50, 101, 152.
        seed: Integer >= 0.
        width: Integer, channels of the stem and of the first stage's 3x3 convolutions.
            Defaults to `64`.
        stem: `"imagenet"` (7x7 convolution) or `"cifar"` (3x3 convolution). Defaults
            to `"imagenet"`.

    Returns:
        Dict from torchvision's names to float32 arrays in PyTorch's layout
        (convolutions are out, in, height, width).
    """
    k = {"imagenet": 7, "cifar": 3}[stem]
    state = _kernel(seed, "conv1.weight", (width, 3, k, k))
    state |= _batch_norm(seed, "bn1", width)
    channels = width
    for stage, count in enumerate(BLOCKS[depth]):
        for i in range(count):
            name = f"layer{stage + 1}.{i}"
            strided = stage > 0 and i == 0
            block, channels = _block(
                seed, name, channels, width * 2**stage, depth >= 50, strided
            )
            state |= block
    return _float32(state)


def barlow_twins_state(
    depth, projector=(64, 64, 64), seed=0, width=64, stem="imagenet"
):
    """Generates a ResNet under `backbone.*`, a bias-free projector and a final norm.

    Equals `resnet_state`, but with biases of about `BIAS_RATIO` scales.

    Args:
        depth: Integer, see `resnet_state`.
        projector: Tuple of ints, output widths of the projector's linear layers.
            Defaults to `(64, 64, 64)`.
        seed: Integer >= 0. Defaults to `0`.
        width: Integer, see `resnet_state`. Defaults to `64`.
        stem: See `resnet_state`. Defaults to `"imagenet"`.

    Returns:
        Dict from the names of the released checkpoint to float32 arrays; linear layers
        are (out, in). Layer i of the projector is `projector.{3i}`, its batch norm
        `projector.{3i + 1}`; `bn`, after the last layer, has statistics only.
    """
    backbone = resnet_state(depth, seed, width, stem)
    features = 8 * width * (4 if depth >= 50 else 1)
    state = {}
    for i, (fan_in, fan_out) in enumerate(
        zip((features, *projector[:-1]), projector, strict=True)
    ):
        state |= _kernel(seed, f"projector.{3 * i}.weight", (fan_out, fan_in))
        if i < len(projector) - 1:
            state |= _batch_norm(seed, f"projector.{3 * i + 1}", fan_out)
    state |= _batch_norm(seed, "bn", projector[-1], affine=False)
    state = {f"backbone.{n}": v for n, v in backbone.items()} | _float32(state)
    return state | _distant_biases(state)


def images(n, h, w, seed):
    """Generates images with a 1/f spectrum, correlated colors and 256 gray levels.

    Args:
        n: Integer, number of images.
        h: Integer, height in pixels.
        w: Integer, width in pixels.
        seed: Integer >= 0.

    Returns:
        Float32 array (n, h, w, 3) (NHWC), normalized with ImageNet's statistics.
    """
    noise = _rng(seed, "images").standard_normal((n, h, w, 4))
    f = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :])
    amplitude = 1.0 / np.maximum(f, 1.0 / max(h, w))
    spectrum = np.fft.fft2(noise, axes=(1, 2)) * amplitude[None, :, :, None]
    field = np.fft.ifft2(spectrum, axes=(1, 2)).real
    field = field[..., :1] + 0.5 * field[..., 1:]
    field = (field - field.mean((1, 2, 3), keepdims=True)) / field.std(
        (1, 2, 3), keepdims=True
    )
    # Rounding to gray levels makes pixels independent of the last bits of the FFT.
    pixels = np.round(255.0 * np.clip(0.45 + 0.22 * field, 0.0, 1.0)) / 255.0
    return ((pixels - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32)


def image_pair(n, h, w, seed):
    """Generates two correlated views, each three quarters of one shared image.

    Args:
        n: Integer, number of pairs.
        h: Integer, height in pixels.
        w: Integer, width in pixels.
        seed: Integer >= 0.

    Returns:
        Two float32 arrays (n, h, w, 3) (NHWC), see `images`.
    """
    shared, first, second = np.split(images(3 * n, h, w, seed), 3)
    quarter = np.float32(0.25)
    return shared + quarter * (first - shared), shared + quarter * (second - shared)
