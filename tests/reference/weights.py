"""Seeded weights, statistics and images for comparing implementations.

Everything is NumPy and a pure function of its seed, so that two frameworks can load
the same network and read the same pixels without a file of weights between them.
Names and layouts are those of PyTorch: torchvision's ResNet names, and the released
Barlow Twins checkpoint's `backbone.*`, `projector.*` and `bn.*`.
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

# Small residual branches keep rounding errors, and so float32 and float64, together
# over several training steps; they also stop 50 blocks from doubling the variance 50
# times under statistics that do not belong to the data.
RESIDUAL_SCALE = 0.2

# In training a rounding error that moves one ReLU's input across 0 shows in every
# gradient before it. So few inputs lie near 0: batch norms have biases of 2 scales.
BIAS_RATIO = 2.0


def _rng(seed, name):
    """Generator of its own for every array, so that their order does not matter."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _kernel(seed, name, shape):
    """He-scaled convolution (out, in, h, w) or linear (out, in) weights."""
    scale = np.sqrt(2.0 / np.prod(shape[1:]))
    return {name: scale * _rng(seed, name).standard_normal(shape)}


def _batch_norm(seed, name, channels, scale=1.0, affine=True):
    """Scale in [0.5, 1.5] times `scale`, variance in [0.5, 2], the rest small."""

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
    """One residual block: (its arrays, its number of output channels)."""
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
    """Biases `BIAS_RATIO` scales away from 0, with the sign of the small ones."""
    distant = {}
    for name in (name for name in state if name.endswith(".bias")):
        ratio = BIAS_RATIO * np.sign(state[name]) + state[name]
        distant[name] = ratio * state[name.replace(".bias", ".weight")]
    return _float32(distant)


def _float32(state):
    return {name: value.astype(np.float32) for name, value in state.items()}


def resnet_state(depth, seed, width=64, stem="imagenet"):
    """Arbitrary but well-conditioned weights and statistics of a ResNet without `fc`.

    Args:
        depth: int, one of 18, 34, 50, 101, 152.
        seed: int, at least 0.
        width: int, channels of the stem and of the first stage's 3x3 convolutions.
        stem: `"imagenet"` (7x7 convolution) or `"cifar"` (3x3 convolution).

    Returns:
        dict from torchvision's names to float32 arrays in PyTorch's layout
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
    """ResNet under `backbone.*`, with a bias-free projector and a last norm.

    As `resnet_state`, but with biases of about `BIAS_RATIO` scales.

    Args:
        depth: int, as for `resnet_state`.
        projector: tuple of int, output widths of the projector's linear layers.
        seed: int, at least 0.
        width: int, as for `resnet_state`.
        stem: str, as for `resnet_state`.

    Returns:
        dict from the released checkpoint's names to float32 arrays; linear layers are
        (out, in). Layer i of the projector is `projector.{3i}`, its batch norm
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
    """Natural-like images: a 1/f spectrum, correlated colours, 256 grey levels.

    Args:
        n: int, number of images.
        h: int, height in pixels.
        w: int, width in pixels.
        seed: int, at least 0.

    Returns:
        float32 array (n, h, w, 3) (NHWC), normalised with ImageNet's statistics.
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
    # Whole grey levels make the pixels immune to the last bits of the FFT.
    pixels = np.round(255.0 * np.clip(0.45 + 0.22 * field, 0.0, 1.0)) / 255.0
    return ((pixels - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32)


def image_pair(n, h, w, seed):
    """Two correlated views, each three quarters one shared image.

    Args:
        n: int, number of pairs.
        h: int, height in pixels.
        w: int, width in pixels.
        seed: int, at least 0.

    Returns:
        Two float32 arrays (n, h, w, 3) (NHWC) as from `images`.
    """
    shared, first, second = np.split(images(3 * n, h, w, seed), 3)
    quarter = np.float32(0.25)
    return shared + quarter * (first - shared), shared + quarter * (second - shared)
