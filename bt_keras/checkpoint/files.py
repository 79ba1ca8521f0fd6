"""The files of a folder of checkpoints: which there are, and whether they are whole.

A checkpoint is what Keras's `model.save` writes with one member more, `run.json`: the
`Progress`, the versions that wrote it, the model's variables, and a SHA-256 of every
other member. One file is
renamed into its place, so that it is whole or not there. Nothing here needs TensorFlow.
"""

import hashlib
import json
import os
import re
import zipfile
from importlib import metadata

from absl import logging

from bt_keras.checkpoint.progress import Progress

_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.keras")
_RUN = "run.json"
_CHUNK = 2**22
UNFINISHED = "unfinished.keras"


class DamagedError(Exception):
    """A file is not a whole checkpoint; the message says why."""


def name(progress):
    """Returns str, the file name of a checkpoint at this place."""
    if not progress.step_in_epoch:
        return f"epoch-{progress.epoch:04d}.keras"
    return f"epoch-{progress.epoch:04d}-step-{progress.step_in_epoch:06d}.keras"


def seal(path, progress, variables):
    """Adds `run.json` to what `model.save` wrote, and puts all on the disk.

    Args:
        path: path of a `.keras` file.
        progress: `Progress`.
        variables: list of `[name, shape]`, the model's.
    """
    with zipfile.ZipFile(path, "a") as archive:
        run = {
            "progress": progress.to_json(),
            "versions": versions(),
            "variables": variables,
            "sha256": _digests(archive),
        }
        archive.writestr(_RUN, json.dumps(run, indent=2))
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def publish(temporary, folder, progress):
    """Gives a sealed file its name; what had that name before is replaced at once.

    Returns:
        path of the checkpoint.
    """
    path = folder / name(progress)
    os.replace(temporary, path)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def read(path):
    """Reads a checkpoint's `Progress` after checking every byte of the file.

    Args:
        path: path of a file.

    Raises:
        DamagedError: if it is truncated, changed, or no checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            run = json.loads(archive.read(_RUN))
            if _digests(archive) != run["sha256"]:
                raise DamagedError("its SHA-256 is not the one it was written with")
            return Progress.from_json(run["progress"])
    except DamagedError:
        raise
    # What zipfile and zlib raise depends on which bytes are damaged.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedError(reason) from error


def variables(path):
    """Returns the list of `[name, shape]` that a checkpoint was sealed with."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(_RUN))["variables"]


def newest(folder, set_aside=False):
    """Finds the newest checkpoint that is whole.

    A damaged one is named in a warning.

    Args:
        folder: path.
        set_aside: bool, whether to rename damaged ones, `.damaged` behind their names,
            and to remove what was left half-written.

    Returns:
        `(progress, path)`, or `(None, None)` where there is none.
    """
    if set_aside:
        (folder / UNFINISHED).unlink(missing_ok=True)
    for path in reversed(_all(folder)):
        try:
            return read(path), path
        except DamagedError as error:
            aside = path.with_name(path.name + ".damaged")
            if set_aside:
                os.replace(path, aside)
            done = f"renamed to {aside.name}" if set_aside else "left alone"
            logging.warning(
                "Checkpoint %s is damaged (%s): %s; the one before is used.",
                path,
                error,
                done,
            )
    return None, None


def prune(folder, keep, keep_every):
    """Removes old checkpoints.

    Args:
        folder: path.
        keep: int > 0, how many of the last stay.
        keep_every: int >= 0: of the older ones those after every so many epochs stay,
            none for 0.
    """
    for path in _all(folder)[:-keep]:
        epoch, step = _place(path)
        if not keep_every or step or epoch % keep_every:
            path.unlink()


def versions():
    """Returns dict, the versions of the packages that decide what a step computes."""
    packages = ("tensorflow", "keras", "bt-keras")
    return {package: metadata.version(package) for package in packages}


def _all(folder):
    """Every checkpoint's path, oldest first."""
    return sorted(filter(_place, folder.glob("epoch-*.keras")), key=_place)


def _place(path):
    """`(epoch, step in the epoch)` of a file's name, or None."""
    match = _NAME.fullmatch(path.name)
    return match and (int(match[1]), int(match[2] or 0))


def _digests(archive):
    digests = {}
    for member in archive.namelist():
        if member != _RUN:
            digest = hashlib.sha256()
            with archive.open(member) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
            digests[member] = digest.hexdigest()
    return digests
