"""Writes TIFF files of several bands, in the ways that programs for images do."""

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image


def pages(levels, **arguments):
    """The bytes of a TIFF file with one page for each band."""
    first, *others = (Image.fromarray(band) for band in np.moveaxis(levels, -1, 0))
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=others, **arguments)
    return file.getvalue()


def tiff(levels, order="<", big=False, separate=False, predictor=1, tile=None):
    """The bytes of a TIFF file with one page, compressed with deflate.

    Args:
        levels: uint8 or uint16 array (H, W, C).
        order: `"<"` or `">"`.
        big: whether to write BigTIFF.
        separate: whether the bands follow each other.
        predictor: 1, or 2 for differences between neighbors.
        tile: (height, width) of tiles, or None for strips of three rows.
    """
    height, width, channels = levels.shape
    planes = np.moveaxis(levels, -1, 0)[..., None] if separate else levels[None]
    rows, columns = tile or (3, width)
    parts = []
    for plane in planes:
        if tile:
            sides = (-height % rows, -width % columns)
            plane = np.pad(plane, [*((0, side) for side in sides), (0, 0)])
        corners = itertools.product(
            range(0, len(plane), rows), range(0, plane.shape[1], columns)
        )
        parts += [plane[y : y + rows, x : x + columns] for y, x in corners]
    if predictor == 2:
        parts = [np.diff(part, axis=1, prepend=part.dtype.type(0)) for part in parts]
    kind = np.dtype(levels.dtype).newbyteorder(order)
    parts = [zlib.compress(part.astype(kind).tobytes()) for part in parts]
    number, start = ("Q", 16) if big else ("I", 8)
    offsets = [start + sum(map(len, parts[:index])) for index in range(len(parts))]
    tags = {
        256: [width],
        257: [height],
        258: [levels.itemsize * 8] * channels,
        259: [8],
        262: [1],
        277: [channels],
        284: [2 if separate else 1],
        317: [predictor],
        338: [0] * (channels - 1),
    }
    if tile:
        tags |= {322: [columns], 323: [rows], 324: offsets, 325: [*map(len, parts)]}
    else:
        tags |= {273: offsets, 278: [rows], 279: [*map(len, parts)]}
    data = b"".join(parts)
    return (
        _header(order, big, start + len(data))
        + data
        + _directory(
            {tag: values for tag, values in sorted(tags.items()) if values},
            start + len(data),
            f"{order}{'Q' if big else 'H'}",
            f"{order}HH{number}",
            f"{order}{number}",
            16 if big else 4,
        )
    )


def _header(order, big, first):
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(f"{order}HHHQ", 43, 8, 0, first)
    return mark + struct.pack(f"{order}HI", 42, first)


def _directory(tags, start, count, entry, number, kind):
    table, values_of_tags = struct.pack(count, len(tags)), b""
    length = struct.calcsize(count) + struct.calcsize(number)
    length += len(tags) * (struct.calcsize(entry) + struct.calcsize(number))
    for tag, values in tags.items():
        packed = b"".join(struct.pack(number, value) for value in values)
        if len(values) > 1:
            place = struct.pack(number, start + length + len(values_of_tags))
            values_of_tags += packed
            packed = place
        table += struct.pack(entry, tag, kind, len(values)) + packed
    return table + struct.pack(number, 0) + values_of_tags
