"""How much memory the decoder of JPEG files takes, from the header of a file.

The pixels take three bytes each. A progressive file, and one whose components follow
each other, also has all its coefficients in memory, which take up to six more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

# The largest decoded image. A small file can describe a huge one.
MAX_BYTES = 2**29
# Start of frame, without the tables (C4, CC) and an extension (C8) between them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN = 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # Markers without contents.
_PIXEL, _COEFFICIENT, _BLOCK = 3, 2, 8  # Bytes, bytes, pixels on a side.


class _Frame(NamedTuple):
    height: int
    width: int
    sampling: list[tuple[int, int]]  # Of each component, horizontal and vertical.
    is_progressive: bool


def problem(contents: bytes) -> str | None:
    """Finds out whether the coefficients of a file take too much memory.

    Args:
        contents: Bytes. Contents of a JPEG file, which may be damaged.

    Returns:
        String, the problem as a predicate; `None` if there is none.
    """
    frame, needed = _read(contents)
    # TensorFlow itself refuses files with too many pixels.
    if needed < MAX_BYTES or frame.height * frame.width * _PIXEL >= MAX_BYTES:
        return None
    return (
        f"has {frame.width} x {frame.height} pixels in a progressive JPEG file, which "
        f"take {needed:,} bytes to decode, more than {MAX_BYTES:,}: save it as a file "
        "that is not progressive, or make it smaller"
    )


def needed_bytes(contents: bytes) -> int:
    """Computes how many bytes decoding takes; 0 if the header is damaged."""
    return _read(contents)[1]


def _read(contents):
    """Returns `(frame, bytes)`, `(None, 0)` if the header is damaged."""
    frame = None
    for marker, segment in _segments(contents):
        if marker in _FRAMES:
            frame = _frame(marker, segment)
        elif marker == _SCAN and frame:
            pixels = frame.height * frame.width * _PIXEL
            is_whole = segment[:1] == bytes([len(frame.sampling)])
            if is_whole and not frame.is_progressive:
                return frame, pixels
            return frame, pixels + _coefficients(frame) * _COEFFICIENT
    return None, 0


def _segments(contents) -> Iterator[tuple[int, bytes]]:
    """Yields the markers up to the first scan, and what follows each of them."""
    position = 2
    while (position := contents.find(b"\xff", position)) >= 0:
        marker = contents[position + 1 : position + 2]
        position += 1
        # A fill byte, a byte of data, or the end.
        if marker in (b"", b"\xff", b"\0"):
            continue
        position += 1
        if marker[0] in _ALONE:
            continue
        size = int.from_bytes(contents[position : position + 2], "big")
        yield marker[0], contents[position + 2 : position + size]
        if marker[0] == _SCAN:
            return
        position += max(size, 2)


def _frame(marker, segment):
    if len(segment) < 6:
        return None
    height, width, count = segment[1:3], segment[3:5], segment[5]
    factors = segment[7 : 6 + 3 * count : 3]
    return _Frame(
        int.from_bytes(height, "big"),
        int.from_bytes(width, "big"),
        [(factor >> 4 or 1, factor & 15 or 1) for factor in factors],
        marker in _PROGRESSIVE,
    )


def _coefficients(frame):
    across = max((h for h, _ in frame.sampling), default=1)
    down = max((v for _, v in frame.sampling), default=1)
    return sum(
        math.ceil(frame.width * h / across / _BLOCK)
        * math.ceil(frame.height * v / down / _BLOCK)
        * _BLOCK**2
        for h, v in frame.sampling
    )
