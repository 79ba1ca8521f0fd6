"""Check an exported module in a process without bt_keras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from bt_keras.errors import DAMAGE, one_line
from bt_keras.export import reference_sample, static_checks
from bt_keras.export.saved_model import EMBEDDING, FEATURES, endpoint_name
from bt_keras.export.static_checks import Check, join
from bt_keras.files.scratch import scratch_folder
from bt_keras.hub import checksums, metadata, resolve
from bt_keras.hub.tar_members import MAX_BYTES

_SCRIPT = Path(__file__).with_name("verify_in_subprocess.py")
# Tolerances, relative to the largest feature. The operations are the same, but may run
# in another order.
_TOLERANCE = 1e-4
# The evaluation's resizing rounds once more, so that some pixels differ by one level.
_ENCODED_TOLERANCE = 5e-2


def verify(
    handle: str | os.PathLike, *, trust: bool = False, max_bytes: int = MAX_BYTES
) -> list[Check]:
    """Loads a module in a process without bt_keras and checks everything in it.

    Its outputs for the sample images in the module are compared with those of the
    training model at export. A module whose files differ from its SHA256SUMS, or that
    has no SHA256SUMS, is not loaded: loading a SavedModel runs the program in it.

    Args:
        handle: String or path, as for `bt_keras.load_backbone`.
        trust: Boolean, whether to load the module even then. Defaults to `False`.
        max_bytes: Integer, as for `bt_keras.load_backbone`. Defaults to 8 GiB.

    Returns:
        List of `Check`: only that of the files, if it fails and `trust` is `False`.

    Raises:
        UsageError: If the module does not exist or was not exported by bt_keras.
    """
    with scratch_folder() as scratch:
        unpacked = Path(scratch, "module")
        unpacked.mkdir()
        folder = resolve.resolve(
            handle, unpacked, max_bytes=max_bytes, check_sums=False
        )
        files = static_checks.check_files(folder)
        # A module of others has neither SHA256SUMS nor metadata.
        if files.passed or trust or not checksums.is_present(folder):
            described = metadata.read(folder, handle)
        if not files.passed and not trust:
            return [files]
        checks = [
            files,
            *static_checks.check_graph(folder),
            static_checks.check_stored_arrays(described, folder),
        ]
        arrays, findings, failure = _run_subprocess(folder, Path(scratch))
        if failure:
            checks.append(Check("loads and runs", "yes", failure, False))
        else:
            checks += _check_interface(described, findings)
            try:
                expected = reference_sample.read(Path(folder, metadata.FOLDER))
            except (OSError, *DAMAGE) as error:
                name = reference_sample.FILE
                checks.append(Check(name, "readable", one_line(error), False))
            else:
                checks += _check_outputs(described, expected, arrays)
            checks += _check_fine_tuning(described, findings)
    return checks


def _run_subprocess(folder, scratch):
    """Returns `(arrays, findings, None)`, or `(None, None, error)` if it fails."""
    arrays, findings = scratch / "arrays.npz", scratch / "findings.json"
    # `python FILE` would put the folder of the file on the path, where modules of
    # bt_keras have the names of other packages.
    start = "import runpy, sys; del sys.argv[0]; "
    start += "runpy.run_path(sys.argv[0], run_name='__main__')"
    paths = (_SCRIPT, Path(folder).resolve(), arrays, findings)
    process = subprocess.run(
        [sys.executable, "-c", start, *map(str, paths)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        cwd=scratch,
        # On the CPU: this process may have reserved the memory of the GPUs.
        env={
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONUTF8": "1",
        },
    )
    if process.returncode:
        lines = process.stderr.strip().splitlines() or ["the process was killed"]
        return None, None, one_line(lines[-1])
    with np.load(arrays) as file:
        return dict(file), json.loads(findings.read_text(encoding="utf-8")), None


def _check_interface(described, findings):
    pairs = {
        "bt_keras importable": (False, findings["importable"]),
        "variables": (described.variables, findings["variables"]),
        "trainable variables": (
            described.trainable_variables,
            findings["trainable_variables"],
        ),
        "regularization losses": (
            described.regularization_losses,
            len(findings["regularization_losses"]),
        ),
        "signatures": (sorted(described.signatures), findings["signatures"]),
    }
    sides = described.input_shape[1:3]
    if sides and all(side is None for side in sides):
        shapes = [3, described.feature_dim], findings["other_sizes"]
        pairs["features of 3 images of another size"] = shapes
    return [
        Check(name, _format(expected), _format(found), expected == found)
        for name, (expected, found) in pairs.items()
    ]


def _format(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return join(map(str, value)) if isinstance(value, list) else str(value)


def _expected_outputs(described):
    """Maps the name of each output to the name of its reference array."""
    maps = [endpoint_name(stride) for stride in described.strides]
    loaders = ["hub.load", "tf.saved_model.load", "hub.KerasLayer"]
    expected = dict.fromkeys(loaders, FEATURES)
    expected |= {f"endpoint {name}": name for name in (FEATURES, *maps)}
    if described.embedding_dim:
        expected["projector"] = EMBEDDING
    for name in described.signatures:
        outputs = {"feature_maps": (FEATURES, *maps), "embedding": (EMBEDDING,)}
        for output in outputs.get(name, (FEATURES,)):
            expected[f"signature {name} {output}"] = output
    return expected


def _check_outputs(described, references, arrays):
    """Compares every output with that of the training model."""
    expected = _expected_outputs(described)
    checks = [
        Check(f"{name}: error", "no such output", "an output", False)
        for name in sorted(arrays.keys() - expected.keys())
    ]
    return checks + [
        _check_output(name, references.get(reference), arrays.get(name))
        for name, reference in expected.items()
    ]


def _check_output(name, reference, output):
    encoded = name.startswith("signature encoded")
    tolerance = _ENCODED_TOLERANCE if encoded else _TOLERANCE
    if reference is None:
        found = f"no array in {reference_sample.FILE}"
        return Check(f"{name}: error", f"<= {tolerance:g}", found, False)
    if output is None or output.shape != reference.shape:
        found = "none" if output is None else str(output.shape)
        return Check(f"{name}: error", str(reference.shape), found, False)
    scale = max(float(np.abs(reference).max()), 1e-12)
    error = float(np.abs(output - reference).max()) / scale
    passed = bool(np.isfinite(output).all()) and error <= tolerance
    return Check(f"{name}: error", f"<= {tolerance:g}", f"{error:.1e}", passed)


def _check_fine_tuning(described, findings):
    in_inference = findings["changed_in_inference"]
    weights, trainable = findings["changed_trainable"], described.trainable_variables
    changed, statistics = findings["changed_statistics"], described.statistics
    first, last = findings["losses"][0], findings["losses"][-1]
    losses = f"{first:.4g} to {last:.4g}"
    rows = [
        ("variables that inference changes", 0, in_inference, in_inference == 0),
        # Dropout layers have a state that changes, too.
        (
            "statistics that training changes",
            statistics,
            changed,
            changed >= statistics,
        ),
        ("weights that fine-tuning changes", trainable, weights, weights == trainable),
        # Features that are the same for all images teach nothing.
        (
            "loss in fine-tuning",
            "decreases",
            losses,
            last < first or (last == first and not findings["learns"]),
        ),
    ]
    return [Check(name, str(a), str(b), passed) for name, a, b, passed in rows]
