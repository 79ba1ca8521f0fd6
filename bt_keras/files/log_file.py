"""The log of a run: a CSV file with one line for each epoch, written by Keras."""

from __future__ import annotations

import dataclasses
import os

from bt_keras.files import reading

_LONGEST_EPOCH = 9  # Digits


@dataclasses.dataclass(frozen=True)
class Log:
    """The lines of a log.csv.

    Args:
        header: Bytes of the first line, with its line end; empty for an empty file.
        lines: List of bytes, the intact lines, with their line ends.
        damaged: List of integers, the numbers of the other lines.
    """

    header: bytes
    lines: list[bytes]
    damaged: list[int]

    def before(self, epoch: int) -> bytes:
        """Returns the header and the intact lines of the epochs before this one."""
        kept = (line for line in self.lines if int(_values(line)[0]) < epoch)
        return b"".join([self.header, *kept])

    def rows(self) -> list[dict[str, float]]:
        """Returns the values of the intact lines, without those that are missing."""
        names = _values(self.header)
        rows = [zip(names, _values(line), strict=True) for line in self.lines]
        # Keras writes "NA" for validation metrics if there is no validation.
        return [
            {name: float(value) for name, value in row if value != "NA"} for row in rows
        ]

    def last(self) -> dict[str, float]:
        """Returns the values of the last intact line; empty if there is none."""
        rows = self.rows()
        return rows[-1] if rows else {}


def read(path: str | os.PathLike) -> Log | None:
    """Reads a log.csv.

    A line is damaged if it lacks its line end, has another number of values than the
    header, or a value that is not a number: a process that is killed, or a full disk,
    leaves such lines.

    Args:
        path: Path of the file.

    Returns:
        `Log`, or `None` if there is no such file, or it is not a log.
    """
    try:
        header, *lines = reading.read_bytes(path).splitlines(keepends=True) or [b""]
    except (OSError, ValueError):
        return None
    if not header.endswith(b"\n"):  # Not even the header was written.
        return Log(b"", [], [1] if header else []) if not lines else None
    names = _values(header)
    if names[0] != "epoch":
        return None
    intact, damaged = [], []
    for number, line in enumerate(lines, start=2):
        if line.endswith(b"\n") and _is_row(_values(line), len(names)):
            intact.append(line)
        else:
            damaged.append(number)
    return Log(header, intact, damaged)


def _values(line: bytes) -> list[str]:
    return line.decode(errors="replace").rstrip("\r\n").split(",")


def _is_row(values: list[str], columns: int) -> bool:
    try:
        [float(value) for value in values if value != "NA"]
    except ValueError:
        return False
    # Python does not convert a damaged number of thousands of digits.
    is_epoch = values[0].isdecimal() and len(values[0]) <= _LONGEST_EPOCH
    return len(values) == columns and is_epoch
