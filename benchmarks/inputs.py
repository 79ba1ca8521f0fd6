"""Generates images that are as expensive to decode and augment as photographs."""

import numpy as np
from PIL import Image

_QUALITIES = (85, 90)
# Common sizes in ImageNet, (width, height).
_SIZES = ((500, 375), (500, 333), (375, 500), (480, 360), (512, 384), (333, 500))
# All images are crops of this many scenes, which have this side in pixels.
_SCENES = 8
_SCENE_SIDE = 768
# Exponent by which amplitude decreases with spatial frequency; it determines the size
# of the files.
_ROUGHNESS = 0.35


def write_arrays(path, count, size, seed=0):
    """Writes images as one array.

    Args:
        path: String or path of a .npy file, uint8 of shape (count, size, size, 3).
        count: Integer, number of images.
        size: Integer, side of the images in pixels.
        seed: Integer. Defaults to `0`.
    """
    photos = _photos(seed)
    np.save(path, np.stack([photos(size, size) for _ in range(count)]))


def write_jpegs(folder, count, seed=0):
    """Writes JPEG files of about 500x375 pixels and 60 to 110 kB.

    Args:
        folder: Path of a folder. The files are written to its subfolder `photos`.
        count: Integer, number of images.
        seed: Integer. Defaults to `0`.
    """
    photos = _photos(seed)
    (folder / "photos").mkdir(parents=True)
    for number in range(count):
        photo = Image.fromarray(photos(*_SIZES[number % len(_SIZES)]))
        quality = _QUALITIES[number % len(_QUALITIES)]
        photo.save(folder / "photos" / f"{number:05}.jpg", quality=quality)


def _photos(seed):
    """Returns a function of (width, height) that returns a random uint8 image."""
    generator = np.random.default_rng(seed)
    scenes = [_scene(generator) for _ in range(_SCENES)]

    def photo(width, height):
        left = generator.integers(_SCENE_SIDE - width + 1)
        top = generator.integers(_SCENE_SIDE - height + 1)
        scene = scenes[generator.integers(_SCENES)]
        return scene[top : top + height, left : left + width]

    return photo


def _scene(generator):
    """Returns an image with smooth areas, texture and edges."""
    front, back, mask = (_field(generator) for _ in range(3))
    scene = np.where(mask[..., :1] > 0, front, back)
    return np.clip(scene * 45 + 118, 0, 255).astype(np.uint8)


def _field(generator):
    """Returns a sum of noise at all scales; finer noise is weaker."""
    field, cells = np.zeros((3, 3, 3), np.float32), 3
    while cells <= _SCENE_SIDE:
        field = _resized(field, cells)
        noise = generator.standard_normal(field.shape, np.float32)
        # More contrast in brightness than in color.
        field = field + (noise + 2 * noise[..., :1]) * (3 / cells) ** _ROUGHNESS / 2
        cells *= 2
    return field


def _resized(field, side):
    planes = (Image.fromarray(plane) for plane in np.moveaxis(field, -1, 0))
    bicubic = Image.Resampling.BICUBIC
    resized = [np.asarray(plane.resize((side, side), bicubic)) for plane in planes]
    return np.stack(resized, axis=-1)
