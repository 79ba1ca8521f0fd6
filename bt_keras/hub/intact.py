"""Check that the files which are loaded are those that were exported.

TensorFlow may end the process, or compute other features, where a file is damaged.
"""

from __future__ import annotations

import os

from bt_keras.hub import checksums

# Not the model card and the sample images, which users may change.
_LOADED = (
    "saved_model.pb",
    "fingerprint.pb",
    "variables/",
    "assets/",
    "assets.extra/bt_keras.json",
    "assets.extra/sample.npz",
)
_ADVICE = (
    "copy or export the module again, or remove its SHA256SUMS if you changed it on "
    "purpose"
)


def check(folder: str | os.PathLike) -> None:
    """Compares the files of a module that are loaded with its SHA256SUMS.

    Args:
        folder: Path of the module. One without a SHA256SUMS passes.

    Raises:
        ValueError: If a file is changed, missing or not listed.
        OSError: If one cannot be read.
    """
    differing = checksums.differing(folder) or ()
    if checksums.NAME in differing:
        raise ValueError(f"its {checksums.NAME} cannot be read: {_ADVICE}.")
    if names := [name for name in differing if name.startswith(_LOADED)]:
        raise ValueError(f"{names[0]} differs from {checksums.NAME}: {_ADVICE}.")
