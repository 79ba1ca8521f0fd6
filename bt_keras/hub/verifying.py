"""Whether a module is what it says it is, found out in a process without bt_keras."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from bt_keras.hub import checksums, facts, handles, sample
from bt_keras.hub.saved_model import EMBEDDING, FEATURES, endpoint_name

_PROBE = Path(__file__).with_name("probe.py")
# Of the largest feature. The same operations, perhaps in another order.
_EXACT = 1e-4
# Evaluation's resampling rounds once more on the way: a level here and there.
_ENCODED = 5e-2
# Parts of the names of operations that wait for another device.
_CROSS_REPLICA = ("Collective", "Nccl", "CrossReplica", "AllReduce", "AllToAll")
# A constant of this many bytes could be weights.
_LARGE = 2**16


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the table.

    Args:
        name: str, what is checked.
        expected: str.
        found: str.
        passed: bool.
    """

    name: str
    expected: str
    found: str
    passed: bool


def verify(handle):
    """Loads a module in a fresh process without bt_keras, and tries all it offers.

    What it gives is compared with what the training model gave at export, for the
    sample images in the module.

    Args:
        handle: str or path, as `bt_keras.load_backbone` takes it.

    Returns:
        list of `Check`.

    Raises:
        UsageError: if there is no such module, or it was not exported by bt_keras.
    """
    with tempfile.TemporaryDirectory(prefix="bt_keras-") as scratch:
        unpacked = Path(scratch, "module")
        unpacked.mkdir()
        folder = handles.resolve(handle, unpacked)
        known = facts.read(folder, handle)
        checks = [_same_files(folder), *_graph(folder), _stored_once(known, folder)]
        arrays, found, failure = _probe(folder, Path(scratch))
        if failure:
            checks.append(Check("loads and runs", "yes", failure, False))
        else:
            expected = sample.read(Path(folder, facts.FOLDER))
            checks += _interface(known, found)
            checks += _values(expected, arrays)
            checks += _fine_tuning(known, found)
    return checks


def _same_files(folder):
    differing = checksums.differing(folder)
    if differing is None:
        return Check("SHA256SUMS", "one", "none", False)
    found = f"differ: {', '.join(differing)}" if differing else "equal"
    return Check("SHA-256 of all files", "equal", found, not differing)


def _graph(folder):
    """What can be read off the graph and the sizes of files."""
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(Path(folder, "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        return [Check("saved_model.pb", "readable", str(error), False)]
    graphs = [g.graph_def for g in saved.meta_graphs]
    nodes = [n for g in graphs for n in g.node]
    nodes += [n for g in graphs for f in g.library.function for n in f.node_def]
    across = sorted(
        {n.op for n in nodes if any(part in n.op for part in _CROSS_REPLICA)}
    )
    devices = {n.device.split(":")[1] for n in nodes if n.device.count(":") >= 1}
    devices = sorted(d.upper() for d in devices - {"CPU", "cpu"})
    large = [n.name for n in nodes if n.op == "Const" and n.ByteSize() > _LARGE]
    return [
        Check("operations across replicas", "none", _listed(across), not across),
        Check("devices it is bound to", "none", _listed(devices), not devices),
        Check("weights in the graph", "none", _listed(large[:3]), not large),
    ]


def _stored_once(known, folder):
    """Each variable is one array of the checkpoint, beside TensorFlow's bookkeeping."""
    try:
        stored = tf.train.list_variables(str(Path(folder, "variables", "variables")))
    except (tf.errors.OpError, ValueError):
        return Check("arrays stored", str(known["stored_arrays"]), "none", False)
    names = [n for n, _ in stored if not n.startswith("_") and "save_counter" not in n]
    expected = known["stored_arrays"]
    passed = len(names) == expected
    return Check("arrays stored", str(expected), str(len(names)), passed)


def _listed(names):
    return ", ".join(names) or "none"


def _probe(folder, scratch):
    """Runs probe.py: (arrays, facts, None) or (None, None, what went wrong)."""
    results, found = scratch / "results.npz", scratch / "facts.json"
    command = [sys.executable, str(_PROBE), str(folder), str(results), str(found)]
    # Without the folder that this process was started in, or a checkout to import.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=scratch,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it was killed"]
        return None, None, lines[-1][:200]
    with np.load(results) as file:
        return dict(file), json.loads(found.read_text()), None


def _interface(known, found):
    losses = found["regularization_losses"]
    rows = [
        ("bt_keras importable", False, found["importable"]),
        ("variables", known["variables"], found["variables"]),
        (
            "trainable variables",
            known["trainable_variables"],
            found["trainable_variables"],
        ),
        ("regularization losses", known["regularization_losses"], len(losses)),
        ("signatures", sorted(known["signatures"]), found["signatures"]),
    ]
    if all(side is None for side in known["input_shape"][1:3]):
        shape = [3, known["feature_dim"]]
        rows.append(("3 images of another size", shape, found["other_sizes"]))
    return [
        Check(name, _text(expected), _text(value), expected == value)
        for name, expected, value in rows
    ]


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _listed(map(str, value)) if isinstance(value, list) else str(value)


def _values(expected, arrays):
    """Every array of the probe, against what the training model gave."""
    checks = []
    for name, value in arrays.items():
        wanted = expected[_meaning(name)]
        bound = _ENCODED if name.startswith("signature encoded") else _EXACT
        if value.shape != wanted.shape:
            checks.append(Check(name, str(wanted.shape), str(value.shape), False))
            continue
        scale = max(float(np.abs(wanted).max()), 1e-12)
        error = float(np.abs(value - wanted).max()) / scale
        passed = bool(np.isfinite(value).all()) and error <= bound
        checks.append(Check(f"{name}: error", f"<= {bound:g}", f"{error:.1e}", passed))
    return checks


def _meaning(name):
    """The entry of sample.npz that an array of the probe must equal."""
    if name == "projector":
        return EMBEDDING
    last = name.split()[-1]
    strides = {endpoint_name(stride) for stride in (1, 2, 4, 8, 16, 32, 64, 128)}
    return last if last in strides | {EMBEDDING} else FEATURES


def _fine_tuning(known, found):
    trainable = known["trainable_variables"]
    statistics = known["variables"] - trainable
    first, last = found["losses"][0], found["losses"][-1]
    rows = [
        ("variables that training=False moves", 0, found["moved_in_evaluation"]),
        ("statistics that training=True moves", statistics, found["moved_statistics"]),
        ("weights that fine-tuning moves", trainable, found["moved_trainable"]),
    ]
    checks = [Check(n, str(e), str(f), e == f) for n, e, f in rows]
    falls = f"{first:.4g} to {last:.4g}"
    return [*checks, Check("loss in fine-tuning", "falls", falls, last < first)]
