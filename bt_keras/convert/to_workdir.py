"""Converts the official `checkpoint.pth` to a workdir for `bt-keras pretrain`."""

from __future__ import annotations

import math
import os
from pathlib import Path

from bt_keras.checkpoint import save_restore
from bt_keras.checkpoint.progress import Progress
from bt_keras.convert import (
    architecture,
    gradient_scale,
    lars_state,
    name_map,
    torch_checkpoint,
    weight_files,
)
from bt_keras.errors import UsageError
from bt_keras.files import atomic
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.training import setup
from bt_keras.training.statistics import with_measured
from bt_keras.workdir import Workdir, writable

_ADVICE = "take another --workdir"


def to_workdir(
    path: str | os.PathLike, config, workdir: str | os.PathLike
) -> tuple[BarlowTwins, int, list[str]]:
    """Writes a workdir with a config and a checkpoint at the end of the file's epoch.

    The momenta of biases become s times the file's, see
    `gradient_scale.scale_from_rates`. Both learning rates of the config have the same
    schedule, so that their ratio determines s.

    Args:
        path: String or path of a whole `checkpoint.pth`, with epoch, model and
            optimizer.
        config: `ConfigDict` with the fields of configs/default.py, for the rest of
            the training.
        workdir: String or path of a new or empty folder.

    Returns:
        `(model, epoch, differences)`: the compiled `bt_keras.BarlowTwins`, the number
        of completed epochs, and a list of str, the settings that differ from the
        training so far.

    Raises:
        UsageError: If the file is not such a checkpoint, its architecture differs from
            the config's, or the folder is not empty. Nothing is written then.
    """
    workdir = Path(os.path.realpath(workdir))  # Also resolves circular links.
    with writable(workdir):
        atomic.check_empty(workdir, _ADVICE)
    config = with_measured(config, Workdir(workdir))
    contents = weight_files.load(path)
    with weight_files.prefix_errors(path):
        epoch = _read_epoch(contents, config.epochs)
        state, optimizer = torch_checkpoint.split(contents)
        network = architecture.infer_architecture(state)
        if differences := network.differences(config):
            raise UsageError(
                f"its architecture differs from the config's: {'; '.join(differences)}."
            )
    model, steps_per_epoch = _compiled_model(config)
    rates = config.optimizer
    with weight_files.prefix_errors(path):
        variables = name_map.map_variables(model)
        name_map.assign_weights(variables, state, network.ignored)
        ratio = rates.bias_learning_rate / rates.learning_rate
        scale = gradient_scale.scale_from_rates(optimizer, ratio)
        lars_state.assign_momenta(model, variables, optimizer, scale)
        decay = gradient_scale.scaled_weight_decay(optimizer, scale)
    step = epoch * steps_per_epoch
    model.optimizer.iterations.assign(step)
    _write(model, config, workdir, Progress(steps_per_epoch, step, step))
    return model, epoch, _differences(model, decay)


def _differences(model, decay):
    """Lists the settings of the loss and the optimizer that differ from the file's."""
    ours = lars_state.get_lars(model).coupled_weight_decay
    found = []
    if model.lambd != architecture.OFFICIAL_LAMBD:
        official = architecture.OFFICIAL_LAMBD
        found.append(f"lambd is {model.lambd:g}, in the official code {official:g}")
    if decay is not None and not math.isclose(ours, decay, rel_tol=1e-3):
        found.append(f"weight_decay is {ours:g}, in the file equivalent to {decay:g}")
    return found


def _read_epoch(contents, epochs):
    epoch = contents.get("epoch") if isinstance(contents, dict) else None
    is_whole = isinstance(contents, dict) and {"model", "optimizer"} <= contents.keys()
    if not is_whole or type(epoch) is not int or epoch < 0:
        raise UsageError(
            "training can resume only from a whole checkpoint, with 'epoch', 'model' "
            "and 'optimizer': convert weights alone to a model with --output."
        )
    if epoch >= epochs:
        raise UsageError(
            f"it was saved after epoch {epoch} of {epochs}, so that no epoch remains: "
            "increase --config.epochs."
        )
    return epoch


def _compiled_model(config):
    """Builds the model before its first step, as `bt-keras pretrain` does."""
    if config.optimizer.name != "lars":
        raise UsageError(
            f"config.optimizer.name is {config.optimizer.name!r}, but the checkpoint "
            "has momenta of 'lars': use 'lars'."
        )
    source, _ = setup.load_data(config)
    steps_per_epoch = source.steps_per_epoch(config.batch_size)
    return setup.new_model(config, steps_per_epoch), steps_per_epoch


def _write(model, config, workdir, progress):
    """Writes a workdir; its config comes last, so that a partial one is not a run."""
    config_name = Workdir(workdir).config_file.name
    with atomic.atomic_directory(
        workdir, last=config_name, advice=_ADVICE
    ) as temporary:
        unfinished = Workdir(temporary)
        unfinished.claim(config)
        save_restore.write(model, unfinished.checkpoints, progress)
