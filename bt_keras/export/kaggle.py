"""Publish modules on Kaggle Models, the successor of tfhub.dev."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from bt_keras import system
from bt_keras.errors import UsageError, one_line
from bt_keras.hub import metadata as module_metadata

# Kaggle's name for SavedModels.
FRAMEWORK = "tensorFlow2"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
# Kaggle's names for licenses, by their SPDX names.
_LICENSES = {
    "Apache-2.0": "Apache 2.0",
    "CC-BY-4.0": "Attribution 4.0 International (CC BY 4.0)",
    "CC0-1.0": "CC0: Public Domain",
}


@dataclasses.dataclass(frozen=True)
class Upload:
    """Everything that `publish` sends to Kaggle.

    Args:
        handle: String, `OWNER/MODEL/tensorFlow2/VARIATION`.
        module: Path of the module.
        license_name: String, Kaggle's name of the license.
        version_notes: String, a one-line description of this version.
        files: List of `(name, size)`, the files of the module with their bytes.
    """

    handle: str
    module: Path
    license_name: str
    version_notes: str
    files: list[tuple[str, int]]


def check_handle(handle: str | None) -> None:
    """Raises `UsageError` unless `handle` is `OWNER/MODEL/tensorFlow2/VARIATION`."""
    parts = (handle or "").split("/")
    if (
        len(parts) != 4
        or parts[2].lower() != FRAMEWORK.lower()
        or not all(_SLUG.fullmatch(part) for part in parts)
    ):
        raise UsageError(
            f"--handle={handle} must be OWNER/MODEL/{FRAMEWORK}/VARIATION, each part "
            "of letters, digits and dashes."
        )


def prepare(module: str | os.PathLike, handle: str) -> Upload:
    """Collects what is sent to Kaggle; nothing is sent yet.

    Args:
        module: Path of an exported module.
        handle: String, `OWNER/MODEL/tensorFlow2/VARIATION`.

    Returns:
        An `Upload`.

    Raises:
        UsageError: If the handle is malformed, or the module was not exported by
            bt_keras or states no license.
    """
    check_handle(handle)
    metadata = module_metadata.read(module, module)
    if not metadata.license:
        raise UsageError(
            f"module {module} states no license, which Kaggle requires: export it with "
            "--license, such as --license=Apache-2.0."
        )
    module = Path(module)
    files = [path for path in system.entries(module) if path.is_file()]
    return Upload(
        handle=handle,
        module=module,
        license_name=_LICENSES.get(metadata.license, metadata.license),
        version_notes=(
            f"{metadata.name} pretrained with Barlow Twins, {metadata.feature_dim} "
            "features."
        ),
        files=[(f.relative_to(module).as_posix(), f.stat().st_size) for f in files],
    )


def publish(upload: Upload) -> None:
    """Sends a module to Kaggle with kagglehub.

    A model that does not exist yet is created, and is private.

    Args:
        upload: `Upload` of `prepare`.

    Raises:
        UsageError: If Kaggle refuses it or the network fails.
    """
    import kagglehub  # Imported late: it takes a second.

    try:
        kagglehub.model_upload(
            upload.handle,
            str(upload.module),
            license_name=upload.license_name,
            version_notes=upload.version_notes,
        )
    # kagglehub raises its own errors and those of requests.
    except Exception as error:
        raise UsageError(
            f"{upload.handle} was not published: {one_line(error, None)}"
        ) from error
