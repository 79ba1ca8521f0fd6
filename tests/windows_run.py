"""Runs all commands in one process that lacks what Windows lacks.

`python -m tests.windows_run FOLDER` is started by test_windows.py, in a process of its
own, because nothing of it can be undone. FOLDER is empty.
"""

import contextlib
import signal
import sys
import traceback
from pathlib import Path
from unittest import mock

# Before the imitation: they have releases for Windows, and keep what they took.
import filelock  # noqa: F401
import h5py  # noqa: F401
import kagglehub  # noqa: F401
import keras
import matplotlib.figure  # noqa: F401
import numpy as np
import safetensors.numpy  # noqa: F401
import tensorboard.compat.proto  # noqa: F401
import tensorflow_datasets  # noqa: F401
import tensorflow_hub  # noqa: F401

from tests import tiny, windows


def main(folder):
    images = tiny.write_images(folder / "Bilder ☀", classes=("dunkel", "heller Tag"))
    config = tiny.write_config(folder / "tiny.py", images)
    windows.imitate()
    assert not any(name.split(".")[0] == "bt_keras" for name in sys.modules)
    from bt_keras.cli import main as command

    failures = []

    def run(*arguments, status=0):
        print("$ bt-keras", *arguments, flush=True)
        try:
            found = command([str(a) for a in arguments])
        except Exception:  # The other commands run, too: a run takes a minute.
            traceback.print_exc()
            found = "a traceback"
        if found != status:
            failures.append(f"{arguments[0]}: {found}, not {status}")

    workdir = folder / "läufe" / "tiny"
    module = workdir / "module"
    with _signal_after_step(1):
        run("pretrain", "--config", config, "--workdir", workdir, status=75)
    run("pretrain", "--workdir", workdir)
    with _poisoned_step(2):
        rolled = folder / "rolled"
        run(
            *("pretrain", "--config", config, "--workdir", rolled),
            "--on_nan=rollback",
        )
    run("evaluate", "--workdir", workdir)
    run("evaluate", "--workdir", workdir, "--untrained")
    run(
        *("evaluate", "--workdir", workdir, "--protocol=finetune"),
        *("--seeds=1", "--plot", folder / "plot.png"),
    )
    module.mkdir()
    run("export", "--workdir", workdir, "--out", module, "--license=MIT")
    run("export", f"--verify={module}.tar.gz")
    for name in ("keras", "tflite"):
        out = folder / f"backbone.{name}"
        run("export", "--workdir", workdir, f"--format={name}", "--out", out)
    run(
        *("export", "--publish=kaggle", "--out", module, "--dry_run"),
        "--handle=me/barlow-twins/tensorFlow2/tiny",
    )
    run("convert", "--input", workdir, "--output", folder / "t.pth", "--checkpoint")
    run("report", "--workdir", workdir)
    _use_module(Path(f"{module}.tar.gz").as_uri(), folder)
    _check_files(folder, module)
    assert not failures, failures


@contextlib.contextmanager
def _signal_after_step(step):
    """Sends the signal of Ctrl+Break after a step of the run."""
    from bt_keras.checkpoint.callbacks import ProgressTracker

    before = ProgressTracker.on_train_batch_end

    def after(tracker, batch, logs=None):
        before(tracker, batch, logs)
        if tracker.progress.step == step:
            signal.raise_signal(signal.SIGBREAK)

    with mock.patch.object(ProgressTracker, "on_train_batch_end", after):
        yield


@contextlib.contextmanager
def _poisoned_step(number):
    """Makes the views of one batch non-finite."""
    from bt_keras.training import setup
    from tests import poison

    with mock.patch.object(setup, "make_views", poison.make_views([number])):
        yield


def _use_module(handle, folder):
    """Loads a module, trains with it, and saves and loads the result."""
    import bt_keras

    layer = bt_keras.load_backbone(handle, trainable=True)
    model = keras.Sequential([layer, keras.layers.Dense(2)])
    images = np.random.default_rng(0).uniform(size=(4, 8, 8, 3)).astype("float32")
    model.compile("sgd", "mse")
    model.fit(images, np.zeros((4, 2)), verbose=0)
    model.save(folder / "classifier.keras")
    again = keras.models.load_model(folder / "classifier.keras")
    np.testing.assert_allclose(again(images), model(images), rtol=1e-5, atol=1e-6)


def _check_files(folder, module):
    """Checks the names and the line ends of everything that was written."""
    assert not windows.wrong_names(folder)
    texts = [path for path in folder.rglob("*") if path.suffix in (".json", ".md")]
    assert len(texts) >= 5
    for path in (*texts, module / "SHA256SUMS"):
        contents = path.read_bytes()
        assert b"\r" not in contents, path
        contents.decode()
    sums = (module / "SHA256SUMS").read_text(encoding="utf-8")
    assert "  variables/variables.index\n" in sums
    unfinished = [path for path in folder.rglob(".*") if not path.name.endswith("lock")]
    assert not unfinished


if __name__ == "__main__":
    main(Path(sys.argv[1]))
