"""What is wrong with a file of a folder that could be decoded at the start."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bt_keras.data.decode import check_image, largest_value
from bt_keras.data.folder_index import check_file
from bt_keras.data.shuffle import epoch_order
from bt_keras.errors import one_line


def fault(
    path: str, image_shape: tuple, bits: int, contents: bytes | None = None
) -> str | None:
    """Says what is wrong with a file.

    Args:
        path: String. The file.
        image_shape: Tuple (H, W, C) of all images, with None where it varies.
        bits: Integer, the significant bits of 16-bit images.
        contents: Bytes of the file. Defaults to `None`: they are read.

    Returns:
        String for the user, or None if the file can be decoded.
    """
    if contents is None:
        info = check_file(path, image_shape[2])
        size, problem = (info.height, info.width), info.problem
        largest = info.largest
    else:
        size, problem = check_image(contents, image_shape[2])
        largest = 0 if problem else largest_value(contents, image_shape[2])
    if not problem and not tf.TensorShape(image_shape[:2]).is_compatible_with(size):
        problem = f"has height and width {size}, not {image_shape[:2]}"
    if largest >= 2**bits:
        problem = f"has the value {largest}, which exceeds {bits} bits"
    if problem:
        return (
            f"{path!r} {problem}; it has changed since the start. Restore it, and "
            "start again."
        )
    return None


def find_fault(
    files: Sequence[str],
    image_shape: tuple,
    bits: int,
    message: str,
    shuffle_seed: tf.Tensor | None = None,
    first: int = 0,
    count: int | None = None,
) -> str | None:
    """Finds the first file that cannot be read, see `Source.find_fault`."""
    order = range(len(files))
    if shuffle_seed is not None:
        order = epoch_order(len(files), shuffle_seed).numpy()
    for number in order[first:][:count]:
        if found := fault(files[number], image_shape, bits):
            return found
    # The file can be read again, after an error of a network drive for example.
    named = max((file for file in files if file in message), key=len, default=None)
    return named and f"{named!r} could not be read: {one_line(message)}"
