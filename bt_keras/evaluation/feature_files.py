"""Files of features, file names and labels, written a block of rows at a time."""

from __future__ import annotations

import dataclasses
import importlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bt_keras.errors import UsageError
from bt_keras.files import atomic, npz_file

SUFFIXES = (".npz", ".parquet")
_ROWS = 4096  # of a block


@dataclasses.dataclass(frozen=True)
class FeatureTable:
    """What belongs to the rows of features.

    Args:
        dimension: Integer, the width of the features.
        file_names: Sequence of N strings.
        labels: Optional int64 array (N,). Defaults to `None`: there are no labels.
        class_names: Optional sequence of strings. Defaults to `None`.
    """

    dimension: int
    file_names: Sequence[str]
    labels: np.ndarray | None = None
    class_names: Sequence[str] | None = None


def check_path(path: str | os.PathLike) -> Path:
    """Checks that features can be written, before they are computed.

    Args:
        path: String or path of a new file that ends in `.npz` or `.parquet`.

    Returns:
        The absolute path.

    Raises:
        UsageError: If the file exists or has another suffix, or pyarrow is missing,
            which `.parquet` needs.
    """
    path = Path(path).expanduser()
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--out={path} must end in {' or '.join(SUFFIXES)}.")
    atomic.check_free(path)
    if path.suffix == ".parquet":
        _pyarrow()
    return path.resolve()


def errors(path: Path) -> tuple[type[Exception], ...]:
    """Returns exceptions besides `OSError` that mean that a file cannot be written."""
    return (_pyarrow().ArrowException,) if path.suffix == ".parquet" else ()


def write(path: Path, table: FeatureTable, blocks: Iterable[np.ndarray]) -> None:
    """Writes a file of features.

    A `.npz` file has the arrays `features`, float32 (N, F), and `file_names`, and with
    labels `labels`, int64 (N,), and `class_names`. A `.parquet` file has the columns
    `file_name`, `feature`, lists of F floats, and with labels `label` and `class_name`.

    Args:
        path: Path of the file; its suffix is one of `SUFFIXES`.
        table: `FeatureTable`.
        blocks: Iterable of float32 arrays (M, F), N rows in the order of the table.

    Example:

    >>> from pathlib import Path
    >>> from bt_keras.evaluation.feature_files import FeatureTable, write
    >>> table = FeatureTable(2, ["a.png", "b.png"], np.array([0, 1]), ["cat", "dog"])
    >>> write(Path("features.npz"), table, [np.ones((2, 2), "float32")])
    >>> np.load("features.npz")["file_names"]
    array(['a.png', 'b.png'], dtype='<U5')
    """
    function = _write_npz if path.suffix == ".npz" else _write_parquet
    function(path, table, _regrouped(blocks))


def _write_npz(path, table, blocks):
    count = len(table.file_names)
    names_dtype = f"<U{max(map(len, table.file_names))}"
    with zipfile.ZipFile(path, "w") as archive:
        shape = (count, table.dimension)
        npz_file.write_rows(archive, "features", shape, "<f4", blocks)
        names = (
            np.array(table.file_names[start : start + _ROWS], names_dtype)
            for start in range(0, count, _ROWS)
        )
        npz_file.write_rows(archive, "file_names", (count,), names_dtype, names)
        if table.labels is not None:
            labels, classes = table.labels, np.array(table.class_names)
            npz_file.write_rows(archive, "labels", labels.shape, "<i8", [labels])
            npz_file.write_rows(
                archive, "class_names", classes.shape, classes.dtype, [classes]
            )


def _write_parquet(path, table, blocks):
    arrow, parquet = _pyarrow(), importlib.import_module("pyarrow.parquet")
    fields = [
        ("file_name", arrow.string()),
        ("feature", arrow.list_(arrow.float32(), table.dimension)),
    ]
    if table.labels is not None:
        class_name = arrow.dictionary(arrow.int32(), arrow.string())
        fields += [("label", arrow.int64()), ("class_name", class_name)]
    schema, start = arrow.schema(fields), 0
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            rows = slice(start, start := start + len(block))
            columns = [
                arrow.array(table.file_names[rows], arrow.string()),
                arrow.FixedSizeListArray.from_arrays(block.ravel(), table.dimension),
            ]
            if table.labels is not None:
                labels = table.labels[rows]
                names = arrow.array(table.class_names, arrow.string())
                indices = arrow.array(labels.astype(np.int32))
                columns += [
                    arrow.array(labels),
                    arrow.DictionaryArray.from_arrays(indices, names),
                ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def _regrouped(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Joins blocks: a group of rows of a `.parquet` file has its own metadata."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= _ROWS:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _pyarrow():
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise UsageError(
            "a .parquet file needs pyarrow: install it (`pip install pyarrow`), or "
            "take a name that ends in .npz."
        ) from error
