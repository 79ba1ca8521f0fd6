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

from bt_keras import system
from bt_keras.errors import UsageError, one_line
from bt_keras.workdir import writable

# The columns of results.csv. `settings` is a JSON object that also holds the seed.
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
Scalar = bool | int | float | str


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

    def row(self) -> dict[str, Any]:
        """Returns the result as a dict of JSON values with the keys `COLUMNS`."""
        seed = {} if self.seed is None else {"seed": self.seed}
        return {
            "backbone": self.backbone,
            "epoch": self.epoch,
            "evaluator": self.protocol,
            "source": self.source,
            "settings": {**self.settings, **seed},
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
            settings = _parse_settings(settings)
        seed = settings.get("seed")
        return cls(
            protocol=row["evaluator"],
            metric=row["metric"],
            value=float(row["value"]),
            n=int(row["test_images"]),
            settings={k: v for k, v in settings.items() if k != "seed"},
            seed=seed,
            backbone=row["backbone"],
            epoch=row["epoch"],
            source=row["source"],
        )


def read(path: Path) -> list[Result]:
    """Reads results.csv.

    Args:
        path: Path of the file, which need not exist.

    Returns:
        List of `Result`, oldest first; empty if there is no file.

    Raises:
        UsageError: If a line is not a result.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return [_read_row(row, f"{path}, line {reader.line_num}") for row in reader]


def append(path: Path, results: Iterable[Result]) -> None:
    """Appends all of these results to results.csv, or none of them.

    Several processes can append to the same file.

    Args:
        path: Path of the file, which is created if it does not exist.
        results: `Result`s.

    Raises:
        UsageError: If the file cannot be written.
    """
    with (
        # A file of its own: see `system.try_lock`.
        system.locked(path.with_name(f".{path.name}.lock")),
        writable(path.parent),
        path.open("a+b", buffering=0) as file,
    ):
        size = file.seek(0, os.SEEK_END)
        text = _rows_as_csv(results, header=size == 0)
        if size and not _ends_with_newline(file):
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


def _ends_with_newline(file):
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _read_row(row, place):
    try:
        if None in row or None in row.values():
            raise ValueError("wrong number of columns")
        return Result.from_row(row)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{place}: not a result ({one_line(error)}); correct or remove the line."
        ) from error


def _parse_settings(text):
    """Returns the settings in a cell of results.csv, a JSON object or legacy text."""
    if not text.startswith("{"):
        return parse_legacy_settings(text)
    return json.loads(text)


def parse_legacy_settings(text: str) -> dict[str, Scalar]:
    """Parses the settings of a results.csv that was written before they were JSON.

    Args:
        text: String, `"NAME=VALUE"` or `"COUNT UNIT"`, several separated by commas.

    Returns:
        Dict from names to numbers.

    Raises:
        ValueError: If the text has another form.

    Example:

    >>> from bt_keras.evaluation.results import parse_legacy_settings
    >>> parse_legacy_settings("k=200, temperature=0.1")
    {'k': 200, 'temperature': 0.1}
    >>> parse_legacy_settings("5 epochs")
    {'epochs': 5}
    >>> parse_legacy_settings("labels=10%, images=51, seed=0, 400 steps")
    {'label_share': 0.1, 'images': 51, 'seed': 0, 'steps': 400}
    """
    settings: dict[str, Scalar] = {}
    for part in text.split(", "):
        if "=" in part:
            name, value = part.split("=")
        else:
            value, name = part.split(" ")
        if value.endswith("%"):
            settings["label_share"] = float(value[:-1]) / 100
        else:
            settings[name] = int(value) if value.isdecimal() else float(value)
    return settings
