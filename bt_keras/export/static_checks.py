"""Checks of a module's files that do not load it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from bt_keras.errors import listed, one_line
from bt_keras.hub import checksums
from bt_keras.hub.metadata import ModuleMetadata

# Parts of the names of operations that communicate between devices.
_CROSS_REPLICA = ("Collective", "Nccl", "CrossReplica", "AllReduce", "AllToAll")
# A constant of this many bytes may be weights.
_LARGE = 2**16


@dataclasses.dataclass(frozen=True)
class Check:
    """One row of the table of checks.

    Args:
        name: String, what is checked.
        expected: String.
        found: String.
        passed: Boolean.
    """

    name: str
    expected: str
    found: str
    passed: bool


def check_files(folder: str | os.PathLike) -> Check:
    """Compares the files with SHA256SUMS."""
    try:
        differing = checksums.differing(folder)
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
        return Check("SHA-256 of all files", "equal", found, False)
    if differing is None:
        return Check(checksums.NAME, "present", "missing", False)
    found = f"differ: {listed(differing, checksums.SHOWN)}" if differing else "equal"
    return Check("SHA-256 of all files", "equal", found, not differing)


def check_graph(folder: str | os.PathLike) -> list[Check]:
    """Checks the operations, devices and constants of the graph."""
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(Path(folder, "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        return [Check("saved_model.pb", "readable", one_line(error), False)]
    graphs = [g.graph_def for g in saved.meta_graphs]
    nodes = [n for g in graphs for n in g.node]
    nodes += [n for g in graphs for f in g.library.function for n in f.node_def]
    cross_replica = sorted(
        {n.op for n in nodes if any(part in n.op for part in _CROSS_REPLICA)}
    )
    kinds = {n.device.lower().rsplit("/", 1)[-1] for n in nodes if n.device}
    devices = sorted(kind for kind in kinds if "cpu:" not in kind)
    large = [n.name for n in nodes if n.op == "Const" and n.ByteSize() > _LARGE]
    found = {
        "cross-replica operations": cross_replica,
        "fixed devices": devices,
        "weights in the graph": large[:3],
    }
    return [
        Check(name, "none", join(names), not names) for name, names in found.items()
    ]


def check_stored_arrays(described: ModuleMetadata, folder: str | os.PathLike) -> Check:
    """Checks that each variable is stored once, ignoring TensorFlow's bookkeeping."""
    expected = described.stored_arrays
    try:
        stored = tf.train.list_variables(str(Path(folder, "variables", "variables")))
    except (tf.errors.OpError, ValueError):
        return Check("stored arrays", str(expected), "none", False)
    names = [n for n, _ in stored if not n.startswith("_") and "save_counter" not in n]
    passed = len(names) == expected
    return Check("stored arrays", str(expected), str(len(names)), passed)


def join(names: Iterable[str]) -> str:
    """Joins names for the table."""
    return ", ".join(names) or "none"
