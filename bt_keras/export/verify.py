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

from bt_keras.export import reference_sample
from bt_keras.export.saved_model import EMBEDDING, FEATURES, endpoint_name
from bt_keras.hub import checksums, metadata, resolve

_PROBE = Path(__file__).with_name("verify_in_subprocess.py")
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
        folder = resolve.resolve(handle, unpacked)
        known = metadata.read(folder, handle)
        checks = [_same_files(folder), *_graph(folder), _stored_once(known, folder)]
        arrays, found, failure = _probe(folder, Path(scratch))
        if failure:
            checks.append(Check("loads and runs", "yes", failure, False))
        else:
            expected = reference_sample.read(Path(folder, metadata.FOLDER))
            checks += _interface(known, found)
            checks += _values(known, expected, arrays)
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
    kinds = {n.device.lower().rsplit("/", 1)[-1] for n in nodes if n.device}
    devices = sorted(kind for kind in kinds if "cpu:" not in kind)
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
    # Its first argument to Python would put the folder of the file on the path, and
    # our modules in the place of packages of the same names.
    start = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    start = start.replace("[0])", "[0], run_name='__main__')")
    paths = (_PROBE, Path(folder).resolve(), results, found)
    done = subprocess.run(
        [sys.executable, "-c", start, *map(str, paths)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=scratch,
        # One device, and not one that this process may have filled.
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
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


def _expected(known):
    """What the probe must give: the entry of sample.npz that each array must equal."""
    maps = [endpoint_name(stride) for stride in known["strides"]]
    ways = ["hub.load", "tf.saved_model.load", "hub.KerasLayer"]
    wanted = dict.fromkeys(ways, FEATURES)
    wanted |= {f"endpoint {name}": name for name in (FEATURES, *maps)}
    if known["embedding_dim"]:
        wanted["projector"] = EMBEDDING
    for name in known["signatures"]:
        outputs = {"feature_maps": (FEATURES, *maps), "embedding": (EMBEDDING,)}
        for output in outputs.get(name, (FEATURES,)):
            wanted[f"signature {name} {output}"] = output
    return wanted


def _values(known, expected, arrays):
    """Every array of the probe, against what the training model gave."""
    wanted = _expected(known)
    checks = [
        Check(f"{name}: error", "none such", "one", False)
        for name in sorted(arrays.keys() - wanted.keys())
    ]
    return checks + [
        _compared(name, expected[entry], arrays.get(name))
        for name, entry in wanted.items()
    ]


def _compared(name, wanted, value):
    bound = _ENCODED if name.startswith("signature encoded") else _EXACT
    if value is None or value.shape != wanted.shape:
        found = "none" if value is None else str(value.shape)
        return Check(f"{name}: error", str(wanted.shape), found, False)
    scale = max(float(np.abs(wanted).max()), 1e-12)
    error = float(np.abs(value - wanted).max()) / scale
    passed = bool(np.isfinite(value).all()) and error <= bound
    return Check(f"{name}: error", f"<= {bound:g}", f"{error:.1e}", passed)


def _fine_tuning(known, found):
    trainable, statistics = known["trainable_variables"], known["statistics"]
    first, last = found["losses"][0], found["losses"][-1]
    moved = found["moved_statistics"]
    checks = [
        Check(name, str(wanted), str(value), passed)
        for name, wanted, value, passed in (
            (
                "variables that training=False moves",
                0,
                found["moved_in_evaluation"],
                found["moved_in_evaluation"] == 0,
            ),
            # At least: a dropout layer counts its draws.
            (
                "statistics that training=True moves",
                statistics,
                moved,
                moved >= statistics,
            ),
            (
                "weights that fine-tuning moves",
                trainable,
                found["moved_trainable"],
                found["moved_trainable"] == trainable,
            ),
        )
    ]
    falls = f"{first:.4g} to {last:.4g}"
    return [*checks, Check("loss in fine-tuning", "falls", falls, last < first)]
