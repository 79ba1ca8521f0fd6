"""The newest checkpoint of a run, and the model in it."""

from bt_keras.checkpoint import save_restore, store
from bt_keras.errors import UsageError
from bt_keras.model.from_config import build_model


def load_model(workdir, config, untrained=False):
    """Loads a run's newest model.

    Args:
        workdir: `Workdir`.
        config: `ConfigDict` of the run.
        untrained: bool, whether to build it with its initial weights instead.

    Returns:
        `(epochs, bt_keras.BarlowTwins)`, the number as str, "0" for the untrained one.

    Raises:
        UsageError: if there is no checkpoint.
    """
    if untrained:
        return "0", build_model(config)
    progress, path = newest(workdir)
    return progress.epochs, save_restore.load(path)


def newest(workdir):
    """Finds a run's newest checkpoint.

    Args:
        workdir: `Workdir`.

    Returns:
        `(Progress, path)`.

    Raises:
        UsageError: if there is none.
    """
    progress, path = store.newest(workdir.checkpoints)
    if path is None:
        raise UsageError(
            f"workdir {workdir.path} has no checkpoint yet: let `bt-keras pretrain` "
            "write one."
        )
    return progress, path
