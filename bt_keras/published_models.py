"""Published models: modules that the package contains, loaded by name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

# Of a model's folder, whose name is that of the model: the archive of the module.
ARCHIVE = "module.tar.gz"
# Inside the package in a wheel, beside it in a checkout (see setup.cfg).
_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = (_PACKAGE / "published", _PACKAGE.parent / "export" / "models")
# Other handles are paths or URLs.
_NAME = re.compile(r"\w[\w-]*")


def names() -> list[str]:
    """Returns the names of the published models, sorted."""
    return sorted(_archives())


def find(handle: str) -> Path:
    """Finds the module of a published model.

    Args:
        handle: String, what may be the name of a published model.

    Returns:
        Path of the module's archive.

    Raises:
        ValueError: If there is no such model; the message lists those that there are.

    Example:

    >>> from bt_keras import published_models
    >>> published_models.find("fashion_mnist_resnet18_w25").name
    'module.tar.gz'
    """
    archives = _archives()
    if path := archives.get(handle):
        return path
    if not archives or not _NAME.fullmatch(handle):
        raise ValueError("no such folder or archive.")
    near = difflib.get_close_matches(handle, archives, n=1, cutoff=0.5)
    raise ValueError(
        "no such folder or archive, and no published model of this name; "
        + (f"did you mean {near[0]}? " if near else "")
        + f"the published models are {', '.join(sorted(archives))}."
    )


def _archives():
    """Returns a dict from the names of the published models to their archives."""
    folders = reversed(_FOLDERS)  # The package's own win.
    found = (path for folder in folders for path in folder.glob(f"*/{ARCHIVE}"))
    return {path.parent.name: path for path in found}
