"""The part of a manual page that lists all fields of a config."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from bt_keras import config as config_lib
from bt_keras.cli import flags
from bt_keras.config import comments


def text() -> str:
    """Returns every field with its default and its comment in configs/default.py."""
    config = config_lib.default()
    in_order = json.loads(config_lib.to_json(config))  # `ConfigDict` sorts by name.
    described = "\n\n".join(_described(config, in_order, comments.read()))
    return (
        "Config fields, with the values of configs/default.py, from which the other "
        f"configs\nstart:\n\n{described}"
    )


def _described(
    values: Mapping[str, Any],
    in_order: Mapping[str, Any],
    found: Mapping[str, str],
    prefix: str = "",
) -> Iterator[str]:
    for key, inner in in_order.items():
        name, value = f"{prefix}{key}", values[key]
        comment = found.get(name, "")
        if not isinstance(inner, dict):
            yield _entry(f"--config.{name}={shlex.quote(str(value))}", comment)
            continue
        if comment:
            yield _entry(f"config.{name}", comment)
        yield from _described(value, inner, found, f"{name}.")


def _entry(form: str, comment: str) -> str:
    lines = textwrap.wrap(
        form,
        width=80,
        initial_indent=" " * 4,
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return "\n".join([*lines, *flags.indented(comment)])
