"""Results of evaluators, and the file `results.csv` that stores them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from bt_keras import system
from bt_keras.errors import UsageError, one_line
from bt_keras.evaluation.settings import Scalar, check_settings, parse_settings
from bt_keras.files.reading import read_bytes, reporting_damage
from bt_keras.workdir import writable

# The columns of results.csv. `settings` is a JSON object that also holds the seed and
# the digest of the measurement.
COLUMNS = (
    "backbone",
    "epoch",
    "evaluator",
    "source",
    "settings",
    "metric",
    "value",
    "test_images",
)
# Entries of `settings` that are fields of a `Result`.
_HIDDEN = ("seed", "measurement")
# Settings of results that are computed from views, at the views' size.
OF_VIEWS = frozenset({"augmentations", "batch"})


@dataclasses.dataclass(frozen=True)
class Result:
    """One value that an evaluator measured.

    Args:
        protocol: String, the evaluator's name, such as `"knn"`.
        metric: String, such as `"top1"`.
        value: Float; accuracies are fractions in [0, 1].
        n: Integer, the number of test images.
        settings: Dict from strings to scalars, what distinguishes this measurement
            from others with the same protocol. Defaults to `{}`.
        seed: Integer, or `None` where nothing is random. Defaults to `None`.
        backbone: String, such as `"pretrained"`, `"untrained"` or `"scratch"`. Where
            it is empty, `evaluate` fills in the backbone that it evaluates. Defaults
            to `""`.
        epoch: String, the number of epochs of pretraining, `"?"` if unknown. Where it
            is empty, `evaluate` fills it in. Defaults to `""`.
        source: String, the images' name. `evaluate` fills it in. Defaults to `""`.
        measurement: String, a digest of all that the value depends on, by which
            `evaluate` recognizes finished measurements. Defaults to `""`: unknown.

    Example:

    >>> from bt_keras.evaluation.results import Result
    >>> result = Result("knn", "top1", 0.75, n=2000, settings={"k": 200})
    >>> result.row()["settings"]
    {'k': 200}
    >>> Result.from_row(result.row()) == result
    True
    """

    protocol: str
    metric: str
    value: float
    n: int
    settings: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    seed: int | None = None
    backbone: str = ""
    epoch: str = ""
    source: str = ""
    measurement: str = ""

    def row(self) -> dict[str, Any]:
        """Returns the result as a dict of JSON values with the keys `COLUMNS`."""
        hidden: dict[str, Scalar] = {} if self.seed is None else {"seed": self.seed}
        if self.measurement:
            hidden["measurement"] = self.measurement
        return {
            "backbone": self.backbone,
            "epoch": self.epoch,
            "evaluator": self.protocol,
            "source": self.source,
            "settings": {**self.settings, **hidden},
            "metric": self.metric,
            "value": self.value,
            "test_images": self.n,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Result:
        """Returns the result in a row.

        Args:
            row: Dict with the keys `COLUMNS`, either what `row` returns or a row of
                results.csv, whose values are strings.

        Raises:
            KeyError, TypeError, ValueError: If the row is not complete and valid.
        """
        settings = row["settings"]
        if isinstance(settings, str):
            settings = parse_settings(settings)
        check_settings(settings)
        return cls(
            protocol=row["evaluator"],
            metric=row["metric"],
            value=float(row["value"]),
            n=int(row["test_images"]),
            settings={k: v for k, v in settings.items() if k not in _HIDDEN},
            seed=settings.get("seed"),
            backbone=row["backbone"],
            epoch=row["epoch"],
            source=row["source"],
            measurement=settings.get("measurement", ""),
        )


def read(path: Path) -> list[Result]:
    """Reads results.csv.

    Args:
        path: Path of the file, which need not exist.

    Returns:
        List of `Result`, oldest first; empty if there is no file. A last line without
        its line end that is not a result was not written to its end: it is left out,
        with a warning.

    Raises:
        UsageError: If the file cannot be read, or another line is not a result.
    """
    if not os.path.lexists(path):
        return []
    with reporting_damage(path, "restore it, or move it away"):
        content = read_bytes(path)
        size = _size_of_whole_lines(content)
        if size < len(content):
            logging.warning("%s: the last line is incomplete and left out.", path)
        return _parse(content[:size], path)


def append(path: Path, results: Iterable[Result]) -> None:
    """Appends all of these results to results.csv, or none of them.

    Several processes can append to the same file.

    Args:
        path: Path of the file, which is created if it does not exist.
        results: `Result`s.

    Raises:
        UsageError: If the file cannot be written.
    """
    # A file of its own: see `system.try_lock`.
    lock = path.with_name(f".{path.name}.lock")
    with system.locked(lock), writable(path.parent):
        is_new = not path.exists()
        try:
            with path.open("a+b", buffering=0) as file:
                _append(file, results)
        except BaseException:
            if is_new:
                path.unlink(missing_ok=True)
            raise


def _append(file, results):
    file.seek(0)
    content = file.read()
    size = _size_of_whole_lines(content)
    file.truncate(size)
    text = _rows_as_csv(results, header=size == 0)
    if size and content[size - 1 : size] != b"\n":
        text = "\r\n" + text
    unwritten = memoryview(text.encode())
    try:
        while unwritten:
            unwritten = unwritten[file.write(unwritten) :]
        os.fsync(file)
    except BaseException:  # Such as a full disk, or Ctrl-C.
        file.truncate(size)
        raise


def _rows_as_csv(results, header):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    if header:
        writer.writeheader()
    for result in results:
        row = result.row()
        writer.writerow({**row, "settings": json.dumps(row["settings"])})
    return buffer.getvalue()


def _size_of_whole_lines(content: bytes) -> int:
    """Returns the size without a last line that was not written to its end."""
    start = content.rfind(b"\n") + 1
    header, last = content[: content.find(b"\n") + 1], content[start:]
    try:
        # An editor may have removed the line end of a complete line.
        is_whole = bool(header and _parse(header + last, ""))
    except ValueError:
        is_whole = False
    return len(content) if is_whole else start


def _parse(content: bytes, path: Path | str) -> list[Result]:
    """Parses results.csv; raises `UsageError` with the number of a damaged line."""
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        if missing := [c for c in COLUMNS if c not in (reader.fieldnames or COLUMNS)]:
            raise ValueError(f"there is no column {missing[0]!r}")
        return [_result(row) for row in reader]
    except (csv.Error, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path}, line {max(reader.line_num, 1)}: not a result "
            f"({one_line(error)}); correct or remove the line."
        ) from error


def _result(row):
    if None in row or None in row.values():
        raise ValueError("wrong number of columns")
    return Result.from_row(row)
