"""From the official `checkpoint.pth` to a workdir for `bt-keras pretrain`."""

import os
import shutil
from pathlib import Path

from bt_keras import data, optimizers, runs
from bt_keras.augmentation import views as make_views
from bt_keras.checkpoint import saving
from bt_keras.checkpoint.progress import Progress
from bt_keras.convert import architecture, files, models, optimizer, tensors
from bt_keras.errors import UsageError
from bt_keras.workdir import Workdir, writable


def to_workdir(path, config, workdir):
    """Writes a workdir with the config and one checkpoint, at the epoch of the file.

    Args:
        path: str or path of a whole `checkpoint.pth`: epoch, model and optimizer.
        config: `ConfigDict` with the fields of configs/default.py, how to go on.
        workdir: str or path of a folder that is not there yet, or empty.

    Returns:
        `(model, epoch)`: `bt_keras.BarlowTwins`, compiled, and int.

    Raises:
        UsageError: if the file is not such a checkpoint, its architecture is not the
            config's, or the folder is taken; nothing is written then.
    """
    workdir = Path(workdir)
    _check_free(workdir)
    contents = files.load(path)
    with files.named(path):
        epoch = _epoch(contents, config.epochs)
        state, momenta = models.parts(contents)
        network = architecture.of_state(state)
        if differences := network.differences(config):
            raise UsageError(
                f"it is of another architecture than the config: "
                f"{'; '.join(differences)}."
            )
    model, steps_per_epoch = _compiled(config)
    with files.named(path):
        table = tensors.of_model(model)
        tensors.fill(table, state, network.ignored)
        optimizer.fill(model, table, momenta)
    step = epoch * steps_per_epoch
    model.optimizer.iterations.assign(step)
    _write(model, config, workdir, Progress(steps_per_epoch, step, step))
    return model, epoch


def _epoch(contents, epochs):
    epoch = contents.get("epoch") if isinstance(contents, dict) else None
    whole = isinstance(contents, dict) and {"model", "optimizer"} <= contents.keys()
    if not whole or type(epoch) is not int or epoch < 0:
        raise UsageError(
            "training goes on from a whole checkpoint, with 'epoch', 'model' and "
            "'optimizer'. Weights alone become a model with --output."
        )
    if epoch > epochs:
        raise UsageError(f"it is of epoch {epoch}, past config.epochs, {epochs}.")
    return epoch


def _compiled(config):
    """The model before its first step, as `bt-keras pretrain` builds it."""
    if config.optimizer.name != "lars":
        raise UsageError(
            f"config.optimizer.name is {config.optimizer.name!r}, and the checkpoint "
            "has momenta of 'lars'."
        )
    source = data.load(
        config.data.source, config.data.train_split, config.data.skip_corrupt
    )
    views = make_views(config.views.size, config.views.recipe)
    data.check(source, views, config.batch_size, 1)
    steps_per_epoch = source.num_images // config.batch_size
    model = runs.build_model(config)
    model.compile(
        optimizer=optimizers.build(config, steps_per_epoch),
        steps_per_execution=config.steps_per_execution,
    )
    return model, steps_per_epoch


def _check_free(workdir):
    with writable(workdir):
        if os.path.lexists(workdir) and (
            not workdir.is_dir() or any(workdir.iterdir())
        ):
            raise UsageError(
                f"workdir {workdir} is not empty: take another --workdir, since "
                "nothing is replaced."
            )


def _write(model, config, workdir, progress):
    """All in a folder of another name, which then gets its own."""
    unfinished = workdir.with_name(f".{workdir.name}.unfinished")
    try:
        with writable(workdir):
            shutil.rmtree(unfinished, ignore_errors=True)
            folder = Workdir(unfinished)
            folder.claim(config)
            saving.write(model, folder.checkpoints, progress)
            os.replace(unfinished, workdir)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
