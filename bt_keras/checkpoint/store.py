"""The checkpoint files in a folder: find, verify and remove them.

A checkpoint is the file that Keras's `model.save` writes, with an additional member
`run.json`: the `Progress`, the package versions, the model's variables, and the SHA-256
of every other member. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import errno
import json
import lzma
import re
import shutil
import struct
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import logging

from bt_keras import system
from bt_keras.checkpoint.progress import Progress
from bt_keras.errors import DAMAGE, UsageError, listed, one_line
from bt_keras.files import reading, zip_file
from bt_keras.files.atomic import sha256

_SUFFIX = ".keras"
_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.keras")
_RUN = "run.json"
# In a folder of its own, because Keras may write temporary files beside it.
UNFINISHED = Path("unfinished", "checkpoint.keras")
# Exceptions of zipfile, json and the decompressors for damaged files.
_DAMAGE = (*DAMAGE, struct.error, lzma.LZMAError)


class DamagedError(Exception):
    """The file is not an intact checkpoint; the message gives the reason."""


def name(progress: Progress) -> str:
    """Returns the file name of a checkpoint with this progress."""
    if not progress.step_in_epoch:
        return f"epoch-{progress.epoch:04d}.keras"
    return f"epoch-{progress.epoch:04d}-step-{progress.step_in_epoch:06d}.keras"


def seal(path: Path, progress: Progress, variables: list) -> None:
    """Adds `run.json` to the file that `model.save` wrote.

    Args:
        path: Path of a `.keras` file.
        progress: `Progress` of the run.
        variables: List of `[name, shape]` of the model's variables.
    """
    with zipfile.ZipFile(path, "a") as archive:
        run = {
            "progress": progress.to_json(),
            "versions": versions(),
            "variables": variables,
            "sha256": _digests(archive),
        }
        archive.writestr(_RUN, json.dumps(run, indent=2))


def read(path: Path) -> Progress:
    """Verifies every byte of a checkpoint and reads its progress.

    Args:
        path: Path of a file.

    Returns:
        `Progress` of the checkpoint.

    Raises:
        DamagedError: If the file is truncated, changed, or not a checkpoint.
        OSError: If the file cannot be read; its contents may be intact.
    """
    if path.exists() and not path.is_file():  # Reading a FIFO would wait forever.
        raise DamagedError("it is a folder" if path.is_dir() else "it is not a file")
    try:
        run = _run(path)
        with zip_file.opened(path) as archive:
            if _digests(archive) != run["sha256"]:
                raise DamagedError("its SHA-256 differs from the recorded one")
            if not isinstance(run["versions"], dict) or "variables" not in run:
                raise DamagedError(f"its {_RUN} lacks a part")
            return Progress.from_json(run["progress"])
    except OSError as error:
        # A seek to a negative offset; bz2 has no error number.
        if error.errno not in (errno.EINVAL, None):
            raise
        raise DamagedError("an offset points outside the file") from error
    except _DAMAGE as error:
        raise DamagedError(one_line(error, None)) from error


def variables(path: Path) -> list:
    """Returns the list of `[name, shape]` of the variables in a checkpoint."""
    return _run(path)["variables"]


def other_versions(path: Path) -> str:
    """Returns the packages that had other versions when it was written, or ""."""
    then, now = _run(path)["versions"], versions()
    return ", ".join(
        f"{package} {version}, now {now.get(package)}"
        for package, version in then.items()
        if version != now.get(package)
    )


def _run(path: Path) -> dict[str, Any]:
    with zip_file.opened(path) as archive:
        return zip_file.read_json_object(archive, _RUN)


def find_newest(
    folder: Path, clean_up: bool = False
) -> tuple[Progress, Path] | tuple[None, None]:
    """Finds the newest intact checkpoint.

    Args:
        folder: Path of the folder of checkpoints.
        clean_up: Boolean, whether to add `.damaged` to the names of newer, damaged
            checkpoints and to remove unfinished files. Defaults to `False`.

    Returns:
        `(progress, path)`, or `(None, None)` if there is no checkpoint.

    Raises:
        UsageError: If there are checkpoints but none is intact or one cannot be read.
            Otherwise the run would start again and overwrite them.
    """
    if clean_up:
        shutil.rmtree(folder / UNFINISHED.parent, ignore_errors=True)
    damaged = {}
    for _, path in reversed(_all(folder)):
        try:
            progress = read(path)
        except FileNotFoundError:  # Another process removed it.
            if path.is_symlink():
                damaged[path] = DamagedError("it is a link to a file that is missing")
        except DamagedError as error:
            damaged[path] = error
        except OSError as error:
            raise UsageError(
                f"checkpoint {path} cannot be read: {error.strerror}."
            ) from error
        else:
            _report_damaged(damaged, path, clean_up)
            return progress, path
    # A folder holds no weights that starting again could overwrite.
    if all(path.is_dir() for path in damaged):
        _report_damaged(damaged, None, clean_up)
        return None, None
    for path, reason in damaged.items():
        raise UsageError(
            f"none of the {len(damaged)} checkpoints in {folder} is intact; "
            f"{path.name}: {reason}. Restore one, or take another --workdir."
        )
    return None, None


def find_named(folder: Path, name: str) -> tuple[Progress, Path]:
    """Finds the checkpoint of a name.

    Args:
        folder: Path of the folder of checkpoints.
        name: String, a file name with or without `.keras`, such as `"epoch-0050"`;
            zeros before a number may be left out.

    Returns:
        `(progress, path)`.

    Raises:
        UsageError: If there is no such checkpoint (the message lists those that are
            there), it is damaged, or it cannot be read.
    """
    wanted = _NAME.fullmatch(f"{name.removesuffix(_SUFFIX)}{_SUFFIX}")
    checkpoints = dict(_all(folder))
    path = checkpoints.get(_numbers(wanted)) if wanted else None
    try:
        if path:
            return read(path), path
    except FileNotFoundError:  # Another process removed it just now.
        checkpoints = dict(_all(folder))
    except (DamagedError, OSError) as error:
        raise UsageError(
            f"checkpoint {path} cannot be read ({one_line(error)}): take another."
        ) from error
    names = listed([path.stem for path in checkpoints.values()], most=20)
    raise UsageError(
        f"there is no checkpoint {name!r} in {folder}: "
        f"{f'take one of {names}' if names else 'it has none'}."
    )


def _report_damaged(
    damaged: dict[Path, DamagedError], path: Path | None, rename: bool
) -> None:
    """Warns about damaged checkpoints that are newer than `path`; may rename them."""
    for bad, error in damaged.items():
        renamed = f"renamed to {reading.set_aside(bad)}" if rename else "not changed"
        use = f"{path.name} is used" if path else "there is no other"
        logging.warning(
            "Checkpoint %s is damaged (%s): %s; %s.", bad, error, renamed, use
        )


def prune(folder: Path, keep: int, keep_every: int) -> None:
    """Removes old checkpoints.

    Args:
        folder: Path of the folder of checkpoints.
        keep: Integer > 0, how many of the last checkpoints to keep.
        keep_every: Integer >= 0, keep also the checkpoints after every `keep_every`
            epochs; 0 for none.
    """
    for (epoch, step), path in _all(folder)[:-keep]:
        if not path.is_dir() and (not keep_every or step or epoch % keep_every):
            # Another process may evaluate it: it is removed after a later epoch.
            system.remove_unless_open(path)


def versions() -> dict[str, str]:
    """Returns the versions of the packages that affect the result of a step."""
    packages = ("tensorflow", "keras", "bt-keras")
    return {package: metadata.version(package) for package in packages}


def _all(folder: Path) -> list[tuple[tuple[int, int], Path]]:
    """Returns `((epoch, step in the epoch), path)` of all checkpoints, oldest first."""
    matches = ((_NAME.fullmatch(p.name), p) for p in folder.glob("epoch-*.keras"))
    return sorted((_numbers(match), path) for match, path in matches if match)


def _numbers(match: re.Match) -> tuple[int, int]:
    """Returns `(epoch, step in the epoch)` in a checkpoint's name."""
    return int(match[1]), int(match[2] or 0)


def _digests(archive: zipfile.ZipFile) -> dict[str, str]:
    digests = {}
    for member in archive.namelist():
        if member != _RUN:
            with archive.open(member) as file:
                digests[member] = sha256(file)
    return digests
