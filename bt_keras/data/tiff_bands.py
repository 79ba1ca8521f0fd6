"""The bands of TIFF files: interleaved, one after the other, or as pages.

Pillow reads gray images of every compression, but none of more than four bands. A row
of interleaved bands is therefore read as a longer row of a gray image: the compressed
data stay where they are, and new directories at the end of the file describe them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image, TiffImagePlugin

from bt_keras.data.pillow_image import UnsupportedError

# Tags.
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 256, 257, 258, 259
_PHOTOMETRIC, _OFFSETS, _SAMPLES, _ROWS, _SIZES = 262, 273, 277, 278, 279
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT = 284, 317, 322, 323
_TILE_OFFSETS, _TILE_SIZES, _SAMPLE_FORMAT = 324, 325, 339
# Values of tags.
_NOT_AN_IMAGE = 0b101  # A smaller version or a mask of another page.
_WHITE_IS_ZERO, _GRAY, _PALETTE, _SEPARATE, _DIFFERENCES, _UNSIGNED = 0, 1, 3, 2, 2, 1
# Compressions of bytes, not pixels: none, LZW, deflate, PackBits, LZMA, Zstandard.
_OF_BYTES = (1, 5, 8, 32773, 32946, 34925, 50000)
# Compressions to which the predictor applies.
_PREDICTED = (5, 8, 32946, 34925, 50000)
_MOST_PAGES = 64
_BIG = 43  # The third byte of BigTIFF.
_BIG_ENDIAN_BIG = b"MM\0+"


def shape(contents: bytes) -> tuple[int, int, int]:
    """Reads the (height, width, bands) of an image, those of all pages together.

    Args:
        contents: Bytes. Contents of a TIFF file.

    Raises:
        UnsupportedError: If the pages are of different sizes, or too many.
        Exception: Pillow raises many kinds for damaged files.
    """
    pages = list(_pages(contents))
    sizes = {(_number(page, _HEIGHT), _number(page, _WIDTH)) for page in pages}
    if len(sizes) != 1:
        raise UnsupportedError(
            "has pages of different sizes: save one image in each file"
        )
    return *sizes.pop(), sum(_number(page, _SAMPLES, 1) for page in pages)


def count_pages(contents: bytes) -> int:
    """Returns the number of pages of a TIFF file that are images of their own."""
    return sum(1 for _ in _pages(contents))


def check_one_page(contents: bytes) -> None:
    """Raises `UnsupportedError` if an image that is read as gray has several pages."""
    pages = count_pages(contents)
    if pages > 1:
        raise UnsupportedError(
            f"has {pages} pages, not 1 as config.data.channels (channels= of "
            "bt_keras.data.load) says"
        )


def read(contents: bytes) -> np.ndarray:
    """Reads all bands.

    Args:
        contents: Bytes. Contents of a TIFF file.

    Returns:
        uint8 or uint16 array (H, W, C).

    Raises:
        UnsupportedError: If the pixels are not unsigned numbers of 8 or 16 bits, or
            are compressed by a method for photographs.
        Exception: Pillow raises many kinds for damaged files.
    """
    height, width, _ = shape(contents)
    pages = list(_pages(contents))
    for page in pages:
        _check(page)
    grays = [(page, gray) for page in pages for gray in _as_gray(page)]
    file = io.BytesIO(_with_directories(contents, [gray for _, gray in grays]))
    bands = []
    with Image.open(file, formats=("TIFF",)) as image:
        for number, (page, gray) in enumerate(grays):
            image.seek(number)
            levels = np.asarray(image)
            levels = levels.astype(np.uint16 if levels.itemsize > 1 else np.uint8)
            levels = levels.reshape(height, width, gray[_WIDTH][0] // width)
            bands.append(_undo_predictor(levels, page))
    return np.concatenate(bands, axis=-1)


def _pages(contents) -> Iterator[TiffImagePlugin.ImageFileDirectory_v2]:
    if contents[:4] == _BIG_ENDIAN_BIG:  # Pillow does not read its header.
        raise UnsupportedError("is a big-endian BigTIFF file: save it as plain TIFF")
    file = io.BytesIO(contents)
    page = TiffImagePlugin.ImageFileDirectory_v2(contents[: _header_size(contents)])
    seen = set()
    while page.next and len(seen) < _MOST_PAGES:
        if page.next in seen:  # Pillow stays where a directory is damaged.
            raise ValueError("a directory that is damaged")
        seen.add(page.next)
        file.seek(page.next)
        page.load(file)
        if not _number(page, _SUBFILE, 0) & _NOT_AN_IMAGE:
            # The directory is overwritten by that of the next page.
            copy = TiffImagePlugin.ImageFileDirectory_v2(
                contents[: _header_size(contents)]
            )
            file.seek(page.offset)
            copy.load(file)
            yield copy
    if page.next:
        raise UnsupportedError(f"has more than {_MOST_PAGES} pages")


def _number(page, tag, default=None):
    value = page[tag] if default is None else page.get(tag, default)
    return int(max(np.atleast_1d(value)))


def _check(page):
    bits = {*map(int, np.atleast_1d(page.get(_BITS, 1)))}
    if bits not in ({8}, {16}) or _number(page, _SAMPLE_FORMAT, 1) != _UNSIGNED:
        raise UnsupportedError(
            "has pixels that are not unsigned numbers of 8 or 16 bits: convert it"
        )
    if _number(page, _PHOTOMETRIC, _GRAY) in (_WHITE_IS_ZERO, _PALETTE):
        raise UnsupportedError(
            "has colors of a palette, or 0 for white: convert it to plain levels"
        )
    several = _number(page, _SAMPLES, 1) > 1
    if several and _number(page, _COMPRESSION, 1) not in _OF_BYTES:
        raise UnsupportedError(
            "has several bands compressed by a method for photographs: save it with "
            "deflate or without compression"
        )
    if _number(page, _PREDICTOR, 1) > _DIFFERENCES:
        raise UnsupportedError("has a predictor for floats: save it without one")


def _as_gray(page) -> Iterator[dict[int, list[int]]]:
    """Yields directories of gray images that together have the bands of a page."""
    samples = _number(page, _SAMPLES, 1)
    is_separate = samples > 1 and _number(page, _PLANAR, 1) == _SEPARATE
    count, factor = (samples, 1) if is_separate else (1, samples)
    is_tiled = _TILE_OFFSETS in page
    parts = (_TILE_OFFSETS, _TILE_SIZES) if is_tiled else (_OFFSETS, _SIZES)
    common = {
        _WIDTH: [_number(page, _WIDTH) * factor],
        _HEIGHT: [_number(page, _HEIGHT)],
        _BITS: [_number(page, _BITS)],
        _COMPRESSION: [_number(page, _COMPRESSION, 1)],
        _PHOTOMETRIC: [_GRAY],
        _SAMPLES: [1],
    }
    if is_tiled:
        common[_TILE_WIDTH] = [_number(page, _TILE_WIDTH) * factor]
        common[_TILE_HEIGHT] = [_number(page, _TILE_HEIGHT)]
    else:
        common[_ROWS] = [_number(page, _ROWS, _number(page, _HEIGHT))]
    for number in range(count):
        gray = dict(common)
        for tag in parts:
            values = [*map(int, np.atleast_1d(page[tag]))]
            each = len(values) // count
            gray[tag] = values[number * each : (number + 1) * each]
        yield dict(sorted(gray.items()))


def _undo_predictor(levels, page):
    """Sums the differences to the left neighbor, which begin anew in each tile."""
    predicted = _number(page, _COMPRESSION, 1) in _PREDICTED
    if not predicted or _number(page, _PREDICTOR, 1) != _DIFFERENCES:
        return levels
    width = levels.shape[1]
    step = _number(page, _TILE_WIDTH, width)
    parts = [levels[:, start : start + step] for start in range(0, width, step)]
    sums = [np.cumsum(part, axis=1, dtype=levels.dtype) for part in parts]
    return np.concatenate(sums, axis=1)


def _with_directories(contents, directories):
    """Appends directories, and points the header to the first of them."""
    order = "<" if contents[:2] == b"II" else ">"
    is_big = _header_size(contents) > 8
    count, entry, number = ("Q", "HHQ", "Q") if is_big else ("H", "HHI", "I")
    kind, size = (16, 8) if is_big else (4, 4)  # Type and bytes of a number.
    end = contents + bytes(-len(contents) % 16)
    first = len(end)
    for position, directory in enumerate(directories):
        start = len(end)
        length = struct.calcsize(f"{order}{count}{number}")
        length += len(directory) * (struct.calcsize(f"{order}{entry}") + size)
        table, values_of_tags = struct.pack(f"{order}{count}", len(directory)), b""
        for tag, values in directory.items():
            packed = struct.pack(f"{order}{len(values)}{number}", *values)
            if len(values) > 1:
                place = start + length + len(values_of_tags)
                values_of_tags += packed
                packed = struct.pack(f"{order}{number}", place)
            table += struct.pack(f"{order}{entry}", tag, kind, len(values)) + packed
        is_last = position == len(directories) - 1
        following = start + length + len(values_of_tags)
        table += struct.pack(f"{order}{number}", 0 if is_last else following)
        end += table + values_of_tags
    place = _header_size(contents) - size
    return end[:place] + struct.pack(f"{order}{number}", first) + end[place + size :]


def _header_size(contents):
    """Number of bytes of the header, which ends with the place of the first page."""
    return 16 if contents[2] == _BIG else 8
