"""Decode the image files that TensorFlow does not decode, with Pillow."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
from PIL import Image

# Their pixels are converted to RGB as Pillow does; other modes have no such conversion.
_RGB_MODES = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
)
_FORMATS = ("BMP", "GIF", "TIFF", "WEBP")
# Raw modes of 16-bit RGB, and those with which Pillow reads the other byte.
_OTHER_BYTE = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
# Larger images are converted in strips, because Pillow copies what it converts.
_STRIP_PIXELS = 2**22
# Tags of TIFF.
_BITS, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 262, 284, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2


class UnsupportedError(ValueError):
    """A readable file with pixels that have no 8-bit RGB values.

    The message is a predicate, such as "has pixels of mode F".
    """


def decode(contents: bytes, bits: int) -> np.ndarray:
    """Decodes the first frame of a BMP, GIF, WebP or TIFF file.

    Args:
        contents: Bytes. Contents of the file.
        bits: Integer, see `decode_image`.

    Returns:
        uint8 array of shape `(H, W, 3)`.

    Raises:
        UnsupportedError: If the pixels have no RGB values or exceed `bits`.
        Exception: Pillow raises many kinds for damaged files.
    """
    with _open(contents) as image:
        if not _is_deep(image):
            return _rgb(image)
        levels = _levels(image, contents)
        inverted = _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    if (largest := int(levels.max())) >= 2**bits:
        raise UnsupportedError(f"has the value {largest}, which exceeds {bits} bits")
    levels = 2**bits - 1 - levels if inverted else levels
    return np.broadcast_to(
        (levels >> (bits - 8)).astype(np.uint8).reshape(*levels.shape[:2], -1),
        (*levels.shape[:2], 3),
    )


def largest_value(contents: bytes) -> int:
    """Finds the largest value of an image with more than 8 bits; 0 for others.

    Args:
        contents: Bytes. Contents of a file that `decode` can decode.
    """
    with _open(contents) as image:
        return int(_levels(image, contents).max()) if _is_deep(image) else 0


def size(contents: bytes, kind: str) -> tuple[int, int]:
    """Reads the (height, width) of an image from its header.

    Args:
        contents: Bytes. Contents of the file.
        kind: String. Its format, such as "JPEG".

    Raises:
        UnsupportedError: If Pillow knows the format, but not this kind of it.
        Exception: Pillow raises many kinds for damaged files.
    """
    if kind == "PNG":  # Its header has a fixed place.
        return tuple(struct.unpack(">II", contents[16:24]))[::-1]
    Image.init()
    # Unlike Image.open, the factory gives the reason of an error, and of images that
    # are too large the size.
    factory, _ = Image.OPEN[kind.upper()]
    try:
        with factory(io.BytesIO(contents), "") as image:
            return image.height, image.width
    except SyntaxError as error:
        if str(error).startswith(("cannot handle", "unknown pixel mode")):
            raise UnsupportedError(
                f"is a {kind} file of a kind that is not supported ({error}): convert "
                "it to 8-bit RGB"
            ) from error
        raise


def _open(contents):
    image = Image.open(io.BytesIO(contents), formats=_FORMATS)
    known = image.mode in _RGB_MODES or image.mode.startswith("I;16")
    if not known or _tag(image, _SAMPLE_FORMAT, 1) == _SIGNED:
        raise UnsupportedError(
            f"has pixels whose range is not defined (Pillow's mode {image.mode!r}): "
            "convert it to 8 or 16 bits without sign"
        )
    return image


def _is_deep(image):
    return _tag(image, _BITS, 8) > 8


def _tag(image, tag, default):
    """The largest value of a TIFF tag, the default for other formats."""
    if image.format != "TIFF":
        return default
    return max(np.atleast_1d(image.tag_v2.get(tag, default)))


def _levels(image, contents):
    """Values of an image with more than 8 bits: uint16 (H, W) or (H, W, 3)."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    raw = [tile[3][0] for tile in image.tile]
    layout, _, order = raw[0].partition(";16")
    # Of an RGB image, Pillow reads the high bytes only; the file holds both.
    if layout not in ("RGB", "RGBX", "RGBA") or _tag(image, _PLANAR, 1) != 1:
        raise UnsupportedError(
            f"has 16-bit pixels of a kind that is not supported ({raw[0]}): "
            "convert it to 16-bit RGB"
        )
    with Image.open(io.BytesIO(contents), formats=_FORMATS) as low:
        other = f"{layout};16{_OTHER_BYTE[order]}"
        low.tile = [_with_raw_mode(tile, other) for tile in low.tile]
        low_bytes = np.asarray(low)[..., :3]
    return np.asarray(image)[..., :3].astype(np.uint16) << 8 | low_bytes


def _with_raw_mode(tile, raw_mode):
    values = (*tile[:3], (raw_mode, *tile[3][1:]))
    # Tiles are plain tuples in Pillow 10, and named ones later.
    return getattr(type(tile), "_make", tuple)(values)


def _rgb(image):
    image.load()
    rows = max(1, _STRIP_PIXELS // image.width)
    if rows >= image.height:
        return np.array(image.convert("RGB"))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        pixels[top : top + rows] = image.crop(box).convert("RGB")
    return pixels
