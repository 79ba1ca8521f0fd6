"""Images to measure with, made here: like photographs in what they cost."""

import numpy as np
from PIL import Image

_QUALITIES = (85, 90)
# Sides of most of ImageNet's photographs; every third one is upright.
_SIZES = ((500, 375), (500, 333), (375, 500), (480, 360), (512, 384), (333, 500))
# All images are parts of this many scenes, which have this side in pixels.
_SCENES = 8
_SCENE_SIDE = 768
# A scene's strength falls with fineness to this power: it sets the size of the files.
_ROUGHNESS = 0.35


def write_arrays(path, count, size, seed=0):
    """Writes images as one array.

    Args:
        path: str or path of a .npy file: uint8 (count, size, size, 3).
        count: int.
        size: int, pixels.
        seed: int.
    """
    photos = _photos(seed)
    np.save(path, np.stack([photos(size, size) for _ in range(count)]))


def write_jpegs(folder, count, seed=0):
    """Writes JPEG files of about 500x375 pixels and 60 to 110 kB.

    Args:
        folder: path of a folder; they come into its subfolder `photos`.
        count: int.
        seed: int.
    """
    photos = _photos(seed)
    (folder / "photos").mkdir(parents=True)
    for number in range(count):
        photo = Image.fromarray(photos(*_SIZES[number % len(_SIZES)]))
        quality = _QUALITIES[number % len(_QUALITIES)]
        photo.save(folder / "photos" / f"{number:05}.jpg", quality=quality)


def _photos(seed):
    """A function of (width, height) that returns another uint8 image every time."""
    generator = np.random.default_rng(seed)
    scenes = [_scene(generator) for _ in range(_SCENES)]

    def photo(width, height):
        left = generator.integers(_SCENE_SIDE - width + 1)
        top = generator.integers(_SCENE_SIDE - height + 1)
        scene = scenes[generator.integers(_SCENES)]
        return scene[top : top + height, left : left + width]

    return photo


def _scene(generator):
    """Smooth and rough areas, and edges where one picture hides another."""
    front, back, mask = (_field(generator) for _ in range(3))
    scene = np.where(mask[..., :1] > 0, front, back)
    return np.clip(scene * 45 + 118, 0, 255).astype(np.uint8)


def _field(generator):
    """Noise of every scale, each twice as fine and weaker than the one before."""
    field, cells = np.zeros((3, 3, 3), np.float32), 3
    while cells <= _SCENE_SIDE:
        field = _resized(field, cells)
        noise = generator.standard_normal(field.shape, np.float32)
        # Mostly light and shade, less of colour.
        field = field + (noise + 2 * noise[..., :1]) * (3 / cells) ** _ROUGHNESS / 2
        cells *= 2
    return field


def _resized(field, side):
    planes = (Image.fromarray(plane) for plane in np.moveaxis(field, -1, 0))
    bicubic = Image.Resampling.BICUBIC
    return np.stack([plane.resize((side, side), bicubic) for plane in planes], axis=-1)
