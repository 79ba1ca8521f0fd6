"""Write the module of a published model, its card and its results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bt_keras.errors import UsageError
from bt_keras.export import export_run, source
from bt_keras.files.atomic import atomic_file
from bt_keras.files.scratch import scratch_folder
from bt_keras.hub import metadata
from bt_keras.hub.metadata import ModuleMetadata
from bt_keras.workdir import Workdir
from export import latency, records
from export.recipe import Recipe

# Fields of the module's metadata that the results repeat.
_FIELDS = ("parameters", "multiply_adds", "feature_dim", "image_size", "license")


def write(name: str, run: Workdir, recipe: Recipe, commands: Sequence[str]) -> None:
    """Measures the latency of a run's network and exports it into the model's folder.

    Args:
        name: String, the name of the model.
        run: `Workdir` of its run, with the results of its evaluation.
        recipe: `Recipe`.
        commands: Sequence of strings, what trained and measured it, for the card.

    Raises:
        UsageError: If the module is too large, or differs from the network.
    """
    loaded = source.from_run(run, license=recipe.license)
    channels = run.config().data.channels
    times = latency.measure(loaded.backbone, loaded.image_size, channels)
    about = {
        **loaded.about,
        "published": name,
        "commands": list(commands),
        "latency": latency.lines(times, loaded.image_size),
        "limits": list(recipe.limits),
    }
    loaded = dataclasses.replace(loaded, about=about)
    with scratch_folder() as scratch:
        module = Path(scratch, "module")
        checks = export_run.export(lambda: loaded, module)
        if failed := [check.name for check in checks if not check.passed]:
            raise UsageError(f"{name} was not written: {failed[0]} differs.")
        described = metadata.read(module, module)
        _replace(name, module.with_name("module.tar.gz"), _fields(described, times))


def _fields(described: ModuleMetadata, times: dict[str, float]) -> dict[str, Any]:
    return {
        **{field: getattr(described, field) for field in _FIELDS},
        "source": described.config["data"]["source"],
        "latency_milliseconds": times,
        "latency": described.latency,
        "commands": described.commands,
        "versions": described.versions,
        "results": described.results,
    }


def _replace(name, archive, fields):
    """Writes the module last: until then, `verify` finds that they differ."""
    if (size := archive.stat().st_size) > records.MAX_BYTES:
        raise UsageError(
            f"{name} was not written: its module has {size:,} bytes, more than "
            f"{records.MAX_BYTES:,}; take a smaller network."
        )
    contents = {
        records.CARD: records.card_of(archive),
        records.RESULTS: records.describe(archive, fields).encode(),
        records.ARCHIVE: archive.read_bytes(),
    }
    for file, content in contents.items():
        path = records.FOLDER / name / file
        with atomic_file(path, replace=True) as temporary:
            temporary.write_bytes(content)
        print(f"{path}: {len(content):,} bytes")
