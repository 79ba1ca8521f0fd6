"""The config of a command: a config file, changed by `--config.FIELD=VALUE`."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags
from ml_collections import ConfigDict, config_flags

from bt_keras.cli import flags
from bt_keras.errors import UsageError


def are_given(arguments: Sequence[str]) -> bool:
    """Returns whether any argument is `--config.FIELD`."""
    return any(a.startswith(("-config.", "--config.")) for a in arguments)


def override(
    config: ConfigDict, arguments: Sequence[str], parsed: Sequence[str]
) -> ConfigDict:
    """Changes the fields of a config that `--config.FIELD=VALUE` names.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        arguments: The command's arguments.
        parsed: Names of the command's own flags with a value.

    Returns:
        The changed `ConfigDict`.

    Raises:
        UsageError: If there is no such field or flag, or if a value has another type
            than the field.
    """
    values = absl_flags.FlagValues()
    rest = flags.without(arguments, parsed)
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=["bt-keras", *rest]
        )
    except (AttributeError, KeyError) as error:
        raise UsageError(f"--config.FIELD=VALUE: no such field: {error}") from error
    flags.parse(values, rest)
    return values.config
