"""The config of a command: a config file, changed by `--config.FIELD=VALUE`."""

from __future__ import annotations

import collections
import difflib
from collections.abc import Sequence

from absl import flags as absl_flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_dict import placeholder

from bt_keras.cli import flags
from bt_keras.config import ranges
from bt_keras.errors import UsageError, one_line


def are_given(arguments: Sequence[str]) -> bool:
    """Returns whether any argument is `--config.FIELD`."""
    return any(a.startswith(("-config.", "--config.")) for a in arguments)


def define(values: absl_flags.FlagValues) -> None:
    """Adds `--config` to a command's flags, for `resolve`."""
    absl_flags.DEFINE_string(
        "config",
        None,
        "Config file, or the name of one of this project's configs. Without it, the "
        "config in the workdir is used. --config.FIELD=VALUE overrides a field, for "
        "example --config.batch_size=512.",
        flag_values=values,
    )


def define_with_workdir(values: absl_flags.FlagValues, run: str) -> None:
    """Adds `--config` and `--workdir`, of which users give one, for `resolve_one`.

    Args:
        values: The command's flags.
        run: String, the run in the help, such as `"the run whose config is printed"`.
    """
    define(values)
    absl_flags.DEFINE_string(
        "workdir",
        None,
        f"Folder of {run}. Cannot be used with --config.",
        flag_values=values,
    )


def resolve_one(values: absl_flags.FlagValues, arguments: Sequence[str]) -> ConfigDict:
    """Returns the config of a command that has either `--config` or `--workdir`.

    Args:
        values: The command's parsed flags, see `define_with_workdir`.
        arguments: The command's arguments.

    Returns:
        `ConfigDict`, see `resolve`.

    Raises:
        UsageError: If both or none are given, or as `resolve`.
    """
    if (values.config is None) == (values.workdir is None):
        raise UsageError(
            "give one of --config (a config file or a name) and --workdir (a run)"
            f"{', not both' if values.config else ''}."
        )
    return resolve(values, arguments)


def resolve(values: absl_flags.FlagValues, arguments: Sequence[str]) -> ConfigDict:
    """Returns the config of a command, with all fields and after checking its values.

    Args:
        values: The command's parsed flags, with `--config` and `--workdir`.
        arguments: The command's arguments.

    Returns:
        `ConfigDict`: the one of `--config`, or without it that of the workdir, changed
        by `--config.FIELD=VALUE`.

    Raises:
        UsageError: If there is no such config, or as `override`, or if no run could
            use a value.
    """
    from bt_keras import config as config_lib
    from bt_keras.workdir import Workdir

    if values.config:
        config = config_lib.load(values.config)
    else:
        config = Workdir(values.workdir).config()
    config = override(config, arguments, values)
    config_lib.check(config)
    return config


def override(
    config: ConfigDict, arguments: Sequence[str], own: absl_flags.FlagValues
) -> ConfigDict:
    """Changes the fields of a config that `--config.FIELD=VALUE` names.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        arguments: The command's arguments.
        own: The command's own flags, which are skipped.

    Returns:
        The changed `ConfigDict`.

    Raises:
        UsageError: If there is no such field or flag, or if a value has another type
            than the field.
    """
    values = absl_flags.FlagValues()
    switches = [name for name in own if own[name].boolean]
    others = [name for name in own if not own[name].boolean]
    rest = flags.without(arguments, others, switches)
    _check_repeated(rest)
    _accept_open_fields(config, rest)
    _check_fields(config, rest)
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=["bt-keras", *rest]
        )
        flags.parse(values, rest)
    except UsageError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        message = error
        # ml_collections wraps a KeyError, whose text is the repr of its message.
        while isinstance(message, LookupError | AttributeError) and message.args:
            message = message.args[0]
        raise UsageError(
            f"--config.FIELD=VALUE: no such field: {one_line(message)}"
        ) from error
    return values.config


def _accept_open_fields(config: ConfigDict, arguments: Sequence[str]) -> None:
    """Makes fields that the config does not list known to ml_collections.

    They take a value of any type, which `bt_keras.config.check` checks. So do fields of
    single views that it lists: the old value may be 1, or a list from JSON, where the
    argument is 0.5 or a tuple.
    """
    for argument in arguments:
        path = argument.lstrip("-").partition("=")[0].removeprefix("config.")
        entry, _, name = path.rpartition(".")
        if f"{entry}." not in ranges.OPEN:
            continue
        section = config[entry]
        is_view = entry.startswith("views.")
        if isinstance(section, ConfigDict) and (is_view or name not in section):
            with section.unlocked():
                section[name] = placeholder(object)


def _check_fields(config: ConfigDict, arguments: Sequence[str]) -> None:
    # The message of ml_collections shows neither the path nor the fields there are.
    for argument in filter(lambda a: are_given([a]), arguments):
        path = argument.lstrip("-").partition("=")[0].removeprefix("config.")
        section: object = config
        for name in path.partition("[")[0].split("."):
            if not isinstance(section, ConfigDict) or name not in section:
                raise UsageError(_no_such_field(path, name, section))
            section = section[name]


def _no_such_field(path: str, name: str, section: object) -> str:
    fields = list(section) if isinstance(section, ConfigDict) else []
    near = difflib.get_close_matches(name, fields)
    advice = f"there are {', '.join(fields) or 'none'}."
    if near:
        advice = f"did you mean {' or '.join(near)}?"
    return f"--config.{path}: no such field {name!r}; {advice}"


def _check_repeated(arguments: Sequence[str]) -> None:
    # For a field that is a tuple, absl would join the values.
    fields = [a.lstrip("-").partition("=")[0] for a in arguments if are_given([a])]
    for field, count in collections.Counter(fields).items():
        if count > 1:
            raise UsageError(f"--{field} is given {count} times: give it once.")
