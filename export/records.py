"""The folders of the published models: recipe, module, card and results."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from bt_keras.errors import UsageError
from bt_keras.files.atomic import sha256
from bt_keras.files.reading import parse_json_object, read_text, reporting_damage
from bt_keras.published_models import ARCHIVE

FOLDER = Path(__file__).parent / "models"
# In the tree and in the wheel, so that they stay small.
MAX_BYTES = 4_000_000
RECIPE, CARD, RESULTS = "recipe.py", "README.md", "results.json"


def names() -> list[str]:
    """Returns the names of all models that have a recipe."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{RECIPE}"))


def built() -> list[str]:
    """Returns the names of the models that have a module."""
    return [name for name in names() if archive(name).is_file()]


def archive(name: str) -> Path:
    """Returns the path of a model's module."""
    return FOLDER / name / ARCHIVE


def check(name: str, built: bool = False) -> None:
    """Raises `UsageError` unless there is a recipe, or a module with `built=True`."""
    if name not in names():
        said = f"there is no model {name!r}" if name else "name the model"
        raise UsageError(f"{said}; the models are {', '.join(names())}.")
    if built and not archive(name).is_file():
        raise UsageError(f"{name} is not built: python -m export rebuild {name}.")


def read(name: str) -> dict[str, Any] | None:
    """Reads the results of a model.

    Args:
        name: String, the name of a model.

    Returns:
        Dict, what `write` wrote; `None` if the model is not built.

    Raises:
        UsageError: If the file is damaged.
    """
    path = FOLDER / name / RESULTS
    if not path.is_file():
        return None
    advice = f"python -m export rebuild {name} writes it again"
    with reporting_damage(path, advice):
        return parse_json_object(read_text(path))


def describe(module: Path, fields: dict[str, Any]) -> str:
    """Formats the results of a model.

    Args:
        module: Path of the archive.
        fields: Dict of JSON values.

    Returns:
        String, JSON with the archive's size and SHA-256 before these fields.
    """
    found = {"sha256": sha256(module), "bytes": module.stat().st_size}
    return json.dumps({**found, **fields}, indent=2) + "\n"


def differing(name: str) -> list[str]:
    """Compares a model's module with its card and its results.

    Args:
        name: String, the name of a model with a module.

    Returns:
        List of strings, a line for each difference.
    """
    module, found = archive(name), []
    size = module.stat().st_size
    if size > MAX_BYTES:
        found.append(f"{ARCHIVE} has {size:,} bytes, more than {MAX_BYTES:,}")
    if (read(name) or {}).get("sha256") != sha256(module):
        found.append(f"the SHA-256 of {ARCHIVE} is not that of {RESULTS}")
    card = FOLDER / name / CARD
    if not card.is_file() or card.read_bytes() != card_of(module):
        found.append(f"{CARD} is not that of {ARCHIVE}")
    return found


def card_of(module: Path) -> bytes | None:
    """Reads the card in an archive, `None` if it has none or is damaged."""
    try:
        with tarfile.open(module) as tar:
            return tar.extractfile(CARD).read()
    except (OSError, EOFError, KeyError, tarfile.TarError):
        return None
