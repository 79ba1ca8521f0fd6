"""`--config.FIELD=VALUE`, of commands that take a config."""

from absl import flags as absl_flags
from ml_collections import config_flags

from bt_keras.cli import flags
from bt_keras.errors import UsageError


def given(arguments):
    """Returns whether any argument is `--config.FIELD`."""
    return any(a.startswith(("-config.", "--config.")) for a in arguments)


def changed(config, arguments, own):
    """Changes a config as the command line says.

    Args:
        config: `ConfigDict`.
        arguments: list of str, the command's.
        own: tuple of str, the command's flags with a value, which are read already.

    Returns:
        `ConfigDict`.

    Raises:
        UsageError: if there is no such field or flag, or the value is of another type.
    """
    overrides = absl_flags.FlagValues()
    rest = flags.without(arguments, own)
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=overrides, sys_argv=["bt-keras", *rest]
        )
    except (AttributeError, KeyError) as error:
        raise UsageError(f"--config.FIELD=VALUE: no such field: {error}") from error
    flags.parse(overrides, rest)
    return overrides.config
