"""The files of a folder of checkpoints: which there are, and whether they are whole.

A checkpoint is what Keras's `model.save` writes with one member more, `run.json`: the
`Progress`, the versions that wrote it, the model's variables, and a SHA-256 of every
other member. It is one file, renamed into its place, so that it is whole or not there.
Nothing here needs TensorFlow.
"""

import errno
import json
import os
import re
import shutil
import struct
import zipfile
import zlib
from importlib import metadata
from pathlib import Path

from absl import logging

from bt_keras.atomic import sha256
from bt_keras.checkpoint.progress import Progress
from bt_keras.errors import UsageError, one_line

_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.keras")
_RUN = "run.json"
# A folder, as Keras may put files of its own beside what it writes.
UNFINISHED = Path("unfinished", "checkpoint.keras")
# What zipfile and json raise for bytes that are not what they should be.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    NotImplementedError,
)


class DamagedError(Exception):
    """A file is not a whole checkpoint; the message says why."""


def name(progress):
    """Returns str, the file name of a checkpoint at this place."""
    if not progress.step_in_epoch:
        return f"epoch-{progress.epoch:04d}.keras"
    return f"epoch-{progress.epoch:04d}-step-{progress.step_in_epoch:06d}.keras"


def seal(path, progress, variables):
    """Add `run.json` to the file that `model.save` wrote.

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


def read(path):
    """Reads a checkpoint's `Progress` after checking every byte of the file.

    Args:
        path: path of a file.

    Raises:
        DamagedError: if it is truncated, changed, or no checkpoint.
        OSError: if it cannot be read, which says nothing of its contents.
    """
    try:
        run = _run(path)
        with zipfile.ZipFile(path) as archive:
            if _digests(archive) != run["sha256"]:
                raise DamagedError("its SHA-256 is not the one it was written with")
            return Progress.from_json(run["progress"])
    except OSError as error:
        if error.errno != errno.EINVAL:  # Of a place that is not in the file.
            raise
        raise DamagedError("it points out of itself") from error
    except _DAMAGE as error:
        raise DamagedError(one_line(error, None)) from error


def variables(path):
    """Returns the list of `[name, shape]` that a checkpoint was sealed with."""
    return _run(path)["variables"]


def other_versions(path):
    """Returns str, which packages were of other versions then, or ""."""
    then, now = _run(path)["versions"], versions()
    return ", ".join(
        f"{package} {version}, now {now.get(package)}"
        for package, version in then.items()
        if version != now.get(package)
    )


def _run(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(_RUN))


def find_newest(folder, set_aside=False):
    """Finds the newest checkpoint that is whole.

    Args:
        folder: path.
        set_aside: bool, whether to rename damaged ones that are newer, to names that
            end in `.damaged`, and to remove what was left half-written.

    Returns:
        `(progress, path)`, or `(None, None)` where there is no checkpoint.

    Raises:
        UsageError: if there are some, and none is whole or can be read: a run would
            otherwise begin anew, and its first epochs take the place of the last.
    """
    if set_aside:
        shutil.rmtree(folder / UNFINISHED.parent, ignore_errors=True)
    damaged = {}
    for path in reversed(_all(folder)):
        try:
            progress = read(path)
        except FileNotFoundError:  # Another process has pruned it.
            continue
        except DamagedError as error:
            damaged[path] = error
        except OSError as error:
            raise UsageError(
                f"checkpoint {path} cannot be read: {error.strerror}."
            ) from error
        else:
            _set_aside(damaged, path, set_aside)
            return progress, path
    for path, damage in damaged.items():
        raise UsageError(
            f"none of the {len(damaged)} checkpoints in {folder} is whole; of the "
            f"newest, {path.name}: {damage}. Restore one, or take another --workdir."
        )
    return None, None


def _set_aside(damaged, path, rename):
    for bad, error in damaged.items():
        aside = bad.with_name(bad.name + ".damaged")
        if rename:
            os.replace(bad, aside)
        logging.warning(
            "Checkpoint %s is damaged (%s): %s; %s is used.",
            bad,
            error,
            f"renamed to {aside.name}" if rename else "left alone",
            path.name,
        )


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
            with archive.open(member) as file:
                digests[member] = sha256(file)
    return digests
