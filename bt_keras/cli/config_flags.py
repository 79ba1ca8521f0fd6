"""The config of a command: a config file, changed by `--config.FIELD=VALUE`."""

from __future__ import annotations

import collections
from collections.abc import Sequence

from absl import flags as absl_flags
from ml_collections import ConfigDict, config_flags

from bt_keras.cli import flags
from bt_keras.errors import UsageError, one_line


def are_given(arguments: Sequence[str]) -> bool:
    """Returns whether any argument is `--config.FIELD`."""
    return any(a.startswith(("-config.", "--config.")) for a in arguments)


def override(
    config: ConfigDict,
    arguments: Sequence[str],
    parsed: Sequence[str],
    switches: Sequence[str] = (),
) -> ConfigDict:
    """Changes the fields of a config that `--config.FIELD=VALUE` names.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        arguments: The command's arguments.
        parsed: Names of the command's own flags with a value.
        switches: Names of its Boolean flags. Defaults to `()`.

    Returns:
        The changed `ConfigDict`.

    Raises:
        UsageError: If there is no such field or flag, or if a value has another type
            than the field.
    """
    values = absl_flags.FlagValues()
    rest = flags.without(arguments, parsed, switches)
    _check_repeated(rest)
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=["bt-keras", *rest]
        )
        flags.parse(values, rest)
    except UsageError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"--config.FIELD=VALUE: no such field: {one_line(error)}"
        ) from error
    return values.config


def _check_repeated(arguments: Sequence[str]) -> None:
    # For a field that is a tuple, absl would join the values.
    fields = [a.lstrip("-").partition("=")[0] for a in arguments if are_given([a])]
    for field, count in collections.Counter(fields).items():
        if count > 1:
            raise UsageError(f"--{field} is given {count} times: give it once.")
