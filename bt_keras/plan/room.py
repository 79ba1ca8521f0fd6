"""The memory that this machine has for a replica."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Collection

import tensorflow as tf

from bt_keras import system
from bt_keras.distribution import devices

# TensorFlow tells the memory in use alone. A line for each card: name, MiB.
_QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
_SECONDS = 10.0
_MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Room:
    """Memory.

    Attributes:
        name: String, what has it.
        size: Integer, bytes.
    """

    name: str
    size: int


def of_replica() -> Room | None:
    """Finds the memory for a replica: that of the smallest GPU, or of this machine.

    Returns:
        `Room`, or `None` if it is not known, as for TPUs.
    """
    if gpus := tf.config.list_physical_devices("GPU"):
        details = map(tf.config.experimental.get_device_details, gpus)
        return smallest_card(_cards(), {each.get("device_name") for each in details})
    size = None if devices.is_accelerated() else system.total_memory()
    return None if size is None else Room("this machine", size)


def smallest_card(lines: str, names: Collection[str]) -> Room | None:
    """Finds the smallest of the cards that TensorFlow sees.

    Args:
        lines: String, a line with the name and the MiB of each card, as `nvidia-smi`
            prints them.
        names: Collection of strings, the names of the cards that TensorFlow sees.

    Returns:
        `Room`, or `None` if no line is about such a card or tells its memory.

    Example:

    >>> from bt_keras.plan import room
    >>> room.smallest_card("A, 24000\\nB, 16000\\n", {"A"})
    Room(name='a GPU (A)', size=25165824000)
    """
    rows = (line.rpartition(",") for line in lines.splitlines())
    cards = [
        Room(f"a GPU ({name.strip()})", int(size) * _MIB)
        for name, _, size in rows
        if name.strip() in names and size.strip().isdigit()
    ]
    return min(cards, key=lambda card: card.size, default=None)


def _cards():
    try:
        return subprocess.run(
            ["nvidia-smi", *_QUERY],
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""  # Cards of others than NVIDIA, or no driver.
