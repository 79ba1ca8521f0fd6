"""Model card of an exported module: README.md with front matter for model hubs."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import jinja2

from bt_keras.evaluation import tables
from bt_keras.evaluation.results import Result
from bt_keras.export import model_index
from bt_keras.hub.metadata import ModuleMetadata

_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")


def render(metadata: ModuleMetadata, sums: Mapping[str, str]) -> str:
    """Renders the model card.

    Args:
        metadata: `ModuleMetadata` of the module.
        sums: Mapping from the name of a file to its SHA-256.

    Returns:
        String, Markdown with YAML front matter.
    """
    measured = [Result.from_row(row) for row in metadata.results or ()]
    results = tables.results_table(measured) if measured else ""
    kinds = {1: "gray images", 3: "RGB images"}
    channels = metadata.normalization.channels
    return _template().render(
        metadata=metadata,
        results=results,
        model_index=model_index.entries(metadata.published or metadata.name, measured),
        sums=sums,
        image_kind=kinds.get(channels, f"images of {channels} bands"),
    )


@functools.cache
def _template():
    # `StrictUndefined` makes a misspelled field an error, not an empty string.
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # The card is Markdown, not HTML.
    )
    environment.filters["yaml"] = _yaml_string
    environment.filters["dataset"] = model_index.dataset_name
    environment.filters["numbers"] = lambda values: ", ".join(
        f"{v:.4g}" for v in values
    )
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _yaml_string(value):
    """Quotes a value for the front matter: a JSON string is a YAML string."""
    return json.dumps(" ".join(str(value).split()), ensure_ascii=False)
