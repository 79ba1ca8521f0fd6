"""Train, measure and export a published model by its recipe."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bt_keras.errors import UsageError
from bt_keras.workdir import Workdir
from export import recipe


def rebuild(
    name: str, workdir: str | None = None, transfer: Sequence[str] | None = None
) -> int:
    """Trains a model unless its run is finished, measures it and exports it.

    A run or an evaluation that was interrupted resumes with the same call.

    Args:
        name: String, the name of a model with a recipe.
        workdir: Optional string, the folder of the run. Defaults to `runs/NAME`.
        transfer: Optional sequence of strings, labeled data sets to measure on besides
            the run's. Defaults to those of the recipe.

    Returns:
        Integer, the exit status of the first command that fails, or 0.

    Raises:
        UsageError: If the folder holds another run, or the module is too large.
    """
    read = recipe.read(name)
    run = Workdir(workdir or f"runs/{name}")
    run.check_config(read.config)
    _check_images(run, read.config)
    sources = read.transfer if transfer is None else transfer
    for command in _commands(run.path, read.file, sources, new=not run.has_config()):
        print(f"bt-keras {shlex.join(command)}", flush=True)
        # In a process of its own, and before this one takes memory and a GPU.
        done = subprocess.run([sys.executable, "-m", "bt_keras.cli", *command])
        if done.returncode:
            return done.returncode
    # The card says nothing about this machine's folders.
    file = f"export/models/{name}/{read.file.name}"
    shown = _commands(
        f"runs/{name}", file, [*map(_public, sources)], _changed_source(run, read)
    )

    # TensorFlow as a Python program starts it, not with oneDNN as bt-keras does: the
    # latency is that of such a program.
    from export import module

    module.write(name, run, read, [f"bt-keras {shlex.join(each)}" for each in shown])
    return 0


def _check_images(run, config):
    """Raises `UsageError` if a run is not evaluated on images as the recipe's."""
    found = run.config().evaluation if run.has_config() else config.evaluation
    for field in ("size", "resize_ratio"):
        if found[field] != config.evaluation[field]:
            raise UsageError(
                f"workdir {run.path} has evaluation.{field}={found[field]}, the recipe "
                f"{config.evaluation[field]}: change it in {run.config_file}."
            )


def _changed_source(run, read):
    """Returns the override for a run on other copies of the recipe's images."""
    source = run.config().data.source
    if source == read.config.data.source:
        return []
    return [f"--config.data.source={_public(source)}"]


def _commands(workdir, config, sources, changes=(), new=True):
    at = f"--workdir={workdir}"
    images = [[], *([f"--source={source}"] for source in sources)]
    return [
        ["pretrain", *([f"--config={config}", *changes] if new else []), at],
        # The initial weights for comparison.
        *(["evaluate", at, "--untrained", *each] for each in images),
        *(["evaluate", at, *each] for each in images),
    ]


def _public(name):
    """Returns a data set's name, without the path of a folder."""
    return Path(name).name if os.path.isdir(os.path.expanduser(name)) else name
