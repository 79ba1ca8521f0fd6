"""Find a run's checkpoint, by default the newest, and load its model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from bt_keras.checkpoint import save_restore, store
from bt_keras.checkpoint.progress import Progress
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.model.from_config import build_model, import_network
from bt_keras.workdir import Workdir


def load_model(
    workdir: Workdir,
    config: ConfigDict,
    untrained: bool = False,
    checkpoint: str | None = None,
) -> tuple[str, BarlowTwins]:
    """Loads the model of a run's checkpoint.

    Args:
        workdir: `Workdir` of the run.
        config: `ConfigDict` of the run.
        untrained: Boolean, whether to build the model with its initial weights instead.
            Defaults to `False`.
        checkpoint: Optional string, as for `require_checkpoint`. Defaults to `None`.

    Returns:
        `(epochs, model)`: the number of finished epochs as a string, and the
        `bt_keras.BarlowTwins`, not compiled.

    Raises:
        UsageError: If there is no such checkpoint.
    """
    epochs, load = find_model(workdir, config, untrained, checkpoint)
    return epochs, load()


def find_model(
    workdir: Workdir,
    config: ConfigDict,
    untrained: bool = False,
    checkpoint: str | None = None,
) -> tuple[str, Callable[[], BarlowTwins]]:
    """Finds what `load_model` loads; arguments and errors as there.

    Returns:
        `(epochs, load)`: the number of finished epochs as a string, and a function
        without arguments that loads the model, each time of the same checkpoint. The
        untrained model is always the same object.
    """
    if untrained:
        # Keras would number the layers of a second one differently, and so change the
        # digests of measurements.
        model = build_model(config)
        return "0", lambda: model
    progress, path = require_checkpoint(workdir, checkpoint)
    import_network(config)
    return progress.epochs, functools.partial(save_restore.load, path)


def load_checkpoint(
    workdir: Workdir, config: ConfigDict, checkpoint: str | None = None
) -> tuple[Progress, BarlowTwins]:
    """Loads the progress and the model of a run's checkpoint.

    Args:
        workdir: `Workdir` of the run.
        config: `ConfigDict` of the run.
        checkpoint: Optional string, as for `require_checkpoint`. Defaults to `None`.

    Returns:
        `(progress, model)`: `Progress`, and the `bt_keras.BarlowTwins`, not compiled.

    Raises:
        UsageError: If there is no such checkpoint.
    """
    progress, path = require_checkpoint(workdir, checkpoint)
    import_network(config)
    return progress, save_restore.load(path)


def require_checkpoint(
    workdir: Workdir, checkpoint: str | None = None
) -> tuple[Progress, Path]:
    """Finds a run's checkpoint.

    Args:
        workdir: `Workdir` of the run.
        checkpoint: Optional string, the name of a checkpoint, such as `"epoch-0050"`.
            Defaults to `None`: the newest.

    Returns:
        `(progress, path)` of the checkpoint.

    Raises:
        UsageError: If there is no such checkpoint.
    """
    if checkpoint is not None:
        return store.find_named(workdir.checkpoints, checkpoint)
    progress, path = store.find_newest(workdir.checkpoints)
    if progress is None or path is None:
        raise UsageError(
            f"workdir {workdir.path} has no checkpoint yet: write one with `bt-keras "
            "pretrain`."
        )
    return progress, path
