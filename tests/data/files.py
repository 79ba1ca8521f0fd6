"""Writes image files of all supported formats, and TFDS data sets."""

import io
import itertools
import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image


def picture(height=24, width=31, seed=0):
    """A smooth colored Pillow image, which JPEG changes little."""
    rows, columns = np.mgrid[0:height, 0:width]
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = np.sin(rows[..., None] / 5 + phase) * np.cos(columns[..., None] / 7 - phase)
    return Image.fromarray(np.uint8(127.5 + 127.4 * waves))


def with_alpha(image):
    image = image.convert("RGBA")
    image.putalpha(image.convert("L"))
    return image


def palette(image):
    return image.quantize(64)


# File name -> (image that Pillow writes, arguments of `save`).
KINDS = {
    "gray.jpg": lambda image: (image.convert("L"), {}),
    "rgb.jpeg": lambda image: (image, {}),
    "cmyk.JPG": lambda image: (image.convert("CMYK"), {}),
    "progressive.jpg": lambda image: (image, {"progressive": True}),
    "full_chroma.jpg": lambda image: (image, {"subsampling": 0}),
    "gray.png": lambda image: (image.convert("L"), {}),
    "gray_alpha.png": lambda image: (with_alpha(image).convert("LA"), {}),
    "palette.png": lambda image: (palette(image), {}),
    "palette_transparent.png": lambda image: (palette(image), {"transparency": 3}),
    "rgb.PNG": lambda image: (image, {}),
    "rgb_transparent.png": lambda image: (image, {"transparency": (0, 0, 0)}),
    "rgba.png": lambda image: (with_alpha(image), {}),
    "bits.png": lambda image: (image.convert("1"), {}),
    "bits.bmp": lambda image: (image.convert("1"), {}),
    "gray.bmp": lambda image: (image.convert("L"), {}),
    "palette.bmp": lambda image: (palette(image), {}),
    "rgb.bmp": lambda image: (image, {}),
    "rgba.bmp": lambda image: (with_alpha(image), {}),
    "palette.gif": lambda image: (palette(image), {}),
    "transparent.gif": lambda image: (palette(image), {"transparency": 3}),
    "animated.gif": lambda image: (
        palette(image),
        {"save_all": True, "append_images": [palette(image).rotate(180)]},
    ),
    "rgb.webp": lambda image: (image, {}),
    "rgba.WEBP": lambda image: (with_alpha(image), {"lossless": True}),
    "animated.webp": lambda image: (
        image,
        {"save_all": True, "append_images": [image.rotate(180)]},
    ),
    "gray.tif": lambda image: (image.convert("L"), {}),
    "rgb.tiff": lambda image: (image, {"compression": "tiff_lzw"}),
    "rgba.TIF": lambda image: (with_alpha(image), {}),
    "palette.tif": lambda image: (palette(image), {}),
    "cmyk.tif": lambda image: (image.convert("CMYK"), {}),
    "pages.tif": lambda image: (
        image,
        {"save_all": True, "append_images": [image.rotate(180)]},
    ),
}


def write(path, kind=None, **size):
    """Writes the file `path` as `kind`, by default the kind of its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image, arguments = KINDS[kind or path.name](picture(**size))
    image.save(path, **arguments)
    return path


def write_many(folder, count, seed=0, size=None):
    """Writes `count` different PNG files, of different sizes unless `size` is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        height, width = size or (10 + number, 12 + 2 * number % 5)
        image = picture(height, width, seed * 1000 + number)
        # The corner shows the number of the image.
        image.paste((number, seed, 0), (0, 0, 5, 5))
        image.save(folder / f"{number:03}.png")
    return folder


def deep_png(levels):
    """The bytes of a PNG file with the values of a uint16 array (H, W) or (H, W, 3)."""
    return tf.io.encode_png(levels.reshape(*levels.shape[:2], -1)).numpy()


def deep_tiff(levels, order="<", packed=False, photometric=None, planar=1):
    """The bytes of a TIFF file with the values of a uint16 array, like `deep_png`."""
    levels = levels.reshape(*levels.shape[:2], -1)
    height, width, depth = levels.shape
    pixels = levels.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if packed else pixels
    bits = 8 + 2 + 12 * 10 + 4  # Where the bits of each channel are stored.
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits if depth > 2 else 16),
        (259, 3, 8 if packed else 1),
        (262, 3, (2 if depth > 2 else 1) if photometric is None else photometric),
        (273, 4, bits + 2 * depth),
        (277, 3, depth),
        (278, 4, height),
        (279, 4, len(pixels)),
        (284, 3, planar),
    ]
    file = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, 10)
    for tag, kind, value in tags:
        count = depth if tag == 258 else 1
        in_place = kind == 3 and value != bits
        form = "HHIHH" if in_place else "HHII"
        values = (tag, kind, count, value, *([0] if in_place else []))
        file += struct.pack(f"{order}{form}", *values)
    file += struct.pack(f"{order}I", 0) + struct.pack(f"{order}{depth}H", *[16] * depth)
    return file + pixels


def png(height, width):
    """The bytes of a PNG file."""
    file = io.BytesIO()
    picture(height, width).save(file, "PNG")
    return file.getvalue()


def npy(array):
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def pillow(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def write_tfds(folder, images, num_shards):
    """Writes a TFDS data set "sharded" with the images in their order."""
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=images.shape[1:], encoding_format="png")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="sharded",
        version="1.0.0",
        features=tfds.features.FeaturesDict({"image": image}),
        split_datasets={"train": [(i, {"image": x}) for i, x in enumerate(images)]},
        data_dir=str(folder),
        download_config=tfds.download.DownloadConfig(num_shards=num_shards),
        disable_shuffling=True,
    )
    return folder / "sharded" / "1.0.0"


def arrays(dataset):
    """The elements of a dataset as NumPy arrays."""
    return [tf.nest.map_structure(np.asarray, element) for element in dataset]


def take(dataset, count):
    return arrays(itertools.islice(dataset, count))


def assert_equal(found, expected):
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def index_path(cache):
    """The path of the only index in a cache folder."""
    (path,) = (cache / "folders").glob("*.npz")
    return path
