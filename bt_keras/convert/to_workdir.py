"""From the official `checkpoint.pth` to a workdir for `bt-keras pretrain`."""

import math
import os
from pathlib import Path

from bt_keras import atomic
from bt_keras.checkpoint import save_restore
from bt_keras.checkpoint.progress import Progress
from bt_keras.convert import (
    architecture,
    gradient_scale,
    lars_state,
    name_map,
    state_dict,
    weight_files,
)
from bt_keras.errors import UsageError
from bt_keras.training import setup
from bt_keras.workdir import Workdir, writable

_ADVICE = "take another --workdir"


def to_workdir(path, config, workdir):
    """Writes a workdir with the config and one checkpoint, at the epoch of the file.

    Args:
        path: str or path of a whole `checkpoint.pth`: epoch, model and optimizer.
        config: `ConfigDict` with the fields of configs/default.py, how to go on.
        workdir: str or path of a folder that is not there yet, or empty.

    Returns:
        `(model, epoch, differences)`: `bt_keras.BarlowTwins`, compiled, int, and a
        list of str, settings that are not those of the training so far.

    Momenta of biases become s times the file's, see `groups.scale_for`: batch,
    schedule and floor are the same for both of its rates, and the config's ratio of
    rates alone tells the size of its gradients.

    Raises:
        UsageError: if the file is not such a checkpoint, its architecture is not the
            config's, or the folder is taken; nothing is written then.
    """
    workdir = Path(os.path.realpath(workdir))  # Also of links in a circle.
    with writable(workdir):
        atomic.check_empty(workdir, _ADVICE)
    contents = weight_files.load(path)
    with weight_files.named(path):
        epoch = _epoch(contents, config.epochs)
        state, momenta = state_dict.parts(contents)
        network = architecture.of_state(state)
        if differences := network.differences(config):
            raise UsageError(
                f"it is of another architecture than the config: "
                f"{'; '.join(differences)}."
            )
    model, steps_per_epoch = _compiled(config)
    rates = config.optimizer
    with weight_files.named(path):
        table = name_map.of_model(model)
        name_map.fill(table, state, network.ignored)
        ratio = rates.bias_learning_rate / rates.learning_rate
        scale = gradient_scale.scale_for(momenta, ratio)
        lars_state.fill(model, table, momenta, scale)
        decay = gradient_scale.weight_decay(momenta, scale)
    step = epoch * steps_per_epoch
    model.optimizer.iterations.assign(step)
    _write(model, config, workdir, Progress(steps_per_epoch, step, step))
    return model, epoch, _changes(model, decay)


def _changes(model, decay):
    ours = lars_state.lars(model).coupled_weight_decay
    changes = []
    if model.lambd != architecture.OFFICIAL_LAMBD:
        official = architecture.OFFICIAL_LAMBD
        changes.append(f"lambd is {model.lambd:g}, the official code's {official:g}")
    if decay is not None and not math.isclose(ours, decay, rel_tol=1e-3):
        changes.append(f"weight_decay is {ours:g}, the file's is worth {decay:g} here")
    return changes


def _epoch(contents, epochs):
    epoch = contents.get("epoch") if isinstance(contents, dict) else None
    whole = isinstance(contents, dict) and {"model", "optimizer"} <= contents.keys()
    if not whole or type(epoch) is not int or epoch < 0:
        raise UsageError(
            "training goes on from a whole checkpoint, with 'epoch', 'model' and "
            "'optimizer'. Weights alone become a model with --output."
        )
    if epoch >= epochs:
        raise UsageError(
            f"it is of epoch {epoch} of {epochs}, so that nothing is left to train: "
            "raise --config.epochs."
        )
    return epoch


def _compiled(config):
    """The model before its first step, as `bt-keras pretrain` builds it."""
    if config.optimizer.name != "lars":
        raise UsageError(
            f"config.optimizer.name is {config.optimizer.name!r}, and the checkpoint "
            "has momenta of 'lars'."
        )
    source, _ = setup.load_data(config)
    steps_per_epoch = source.num_images // config.batch_size
    return setup.new_model(config, steps_per_epoch), steps_per_epoch


def _write(model, config, workdir, progress):
    """Write a workdir that has either everything or no config, so that it is no run."""
    config_name = Workdir(workdir).config_file.name
    with atomic.atomic_directory(
        workdir, last=config_name, advice=_ADVICE
    ) as temporary:
        unfinished = Workdir(temporary)
        unfinished.claim(config)
        save_restore.write(model, unfinished.checkpoints, progress)
