"""Flags and manual pages that all commands share."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Iterator, Sequence

from absl import flags

from bt_keras.errors import UsageError
from bt_keras.files import storage

HELP = ("--help", "-help", "-h")
_WIDTH = 80
_INDENT = " " * 8
_ENUM_PREFIX = re.compile(r"^<[^>]*>: ")  # absl repeats the choices there.
_WRITTEN = ("out", "output", "plot", "queue", "workdir")
_PATHS = (*_WRITTEN, "config", "init_from", "input", "module", "verify")
_KINDS = {
    "string": "TEXT",
    "int": "INTEGER",
    "float": "NUMBER",
    "comma separated list of strings": "TEXT,...",
}


def new(*required: str) -> flags.FlagValues:
    """Creates the flags of a command.

    Args:
        required: Names of flags for a run's folder that must be given.

    Returns:
        `absl.flags.FlagValues` with these flags and `--help`.
    """
    values = flags.FlagValues()
    for name in required:
        flags.DEFINE_string(name, None, "Folder of the run.", flag_values=values)
        flags.mark_flag_as_required(name, flag_values=values)
    flags.DEFINE_bool(
        "help", False, "Print this manual and exit.", short_name="h", flag_values=values
    )
    return values


def define_checkpoint(values: flags.FlagValues) -> None:
    """Adds `--checkpoint`, the name of a run's checkpoint, to a command's flags."""
    flags.DEFINE_string(
        "checkpoint",
        None,
        "Checkpoint of the run, such as epoch-0050. Defaults to the newest; "
        "config.checkpoint.keep_every keeps earlier ones.",
        flag_values=values,
    )


def parse(
    values: flags.FlagValues,
    arguments: Sequence[str],
    known_only: bool = False,
    positional: bool = False,
) -> list[str]:
    """Parses a command's arguments.

    Args:
        values: The command's flags; they take the parsed values.
        arguments: The command's arguments.
        known_only: Whether to return unknown arguments instead of rejecting them.
            Defaults to `False`.
        positional: Whether the command takes arguments that are not flags. Defaults to
            `False`.

    Returns:
        The arguments that were not parsed.

    Raises:
        UsageError: If an argument is not a flag, a required flag is missing, or a flag
            is given twice or without a value.
    """
    if "--" in arguments:
        raise UsageError(
            "'--' is not a flag, and the arguments after it would be ignored: remove "
            "it."
        )
    # Flags may follow other arguments.
    values.set_gnu_getopt(positional)
    try:
        rest = values(["bt-keras", *arguments], known_only=known_only or positional)[1:]
    except flags.IllegalFlagValueError:
        _check_required(values, arguments)
        raise
    unknown = [a for a in rest if not positional or a.startswith("-")]
    if unknown and not known_only:
        raise UsageError(f"{unknown[0]!r} is not a flag.")
    for name in values:
        _check_given(values[name])
        if name in _PATHS and isinstance(values[name].value, str):
            # No shell replaces the "~" of `--workdir=~/run`.
            values[name].value = os.path.expanduser(values[name].value)
        if name in _WRITTEN and isinstance(values[name].value, str):
            storage.require_local(values[name].value, f"--{name}")
    return rest


def _check_required(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    # Flags behind one with an invalid value are not parsed.
    given = {argument.lstrip("-").partition("=")[0] for argument in arguments}
    for flag in map(values.__getitem__, values):
        is_missing = flag.value is None and flag.name not in given
        if is_missing and _is_required(values, flag):
            raise UsageError(f"--{flag.name} is missing. {flag.help}")


def _check_given(flag: flags.Flag) -> None:
    # A flag for a tuple counts its entries.
    if flag.present > 1 and not isinstance(flag, flags.MultiFlag):
        raise UsageError(f"--{flag.name} is given {flag.present} times: give it once.")
    if not isinstance(flag.value, str) or not flag.present:
        return
    if not flag.value.strip():
        raise UsageError(
            f"--{flag.name} is empty: give a value (is a variable of the shell not "
            "set?)."
        )
    if "\0" in flag.value:
        raise UsageError(f"--{flag.name} has a null character: remove it.")


def without(
    arguments: Sequence[str], names: Sequence[str], switches: Sequence[str] = ()
) -> list[str]:
    """Removes `--name value`, `--name=value` and switches from the arguments.

    Args:
        arguments: The command's arguments.
        names: Names of flags that take a value.
        switches: Names of Boolean flags. Defaults to `()`.

    Returns:
        The other arguments.
    """
    switches = [f"{no}{name}" for name in switches for no in ("", "no")]
    rest, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if skip:
            skip = False
        elif argument.startswith("-") and name in names:
            skip = not equals
        elif not (argument.startswith("-") and name in switches):
            rest.append(argument)
    return rest


def summary(doc: str) -> str:
    """Returns the first line of a command module's docstring."""
    return doc.strip().splitlines()[0]


def manual(
    command: str, doc: str, values: flags.FlagValues, positional: str = ""
) -> str:
    """Formats the manual page of a command.

    Args:
        command: Name of the command.
        doc: Docstring of the command's module.
        values: The command's flags, before parsing.
        positional: Its arguments that are not flags, for the usage line. Defaults to
            `""`.

    Returns:
        The docstring, the usage line, and every flag with its help and its default.
    """
    listed = list(_listed(values))
    required = [_form(flag) for flag in listed if _is_required(values, flag)]
    required = [positional, *required] if positional else required
    usage = " ".join(["bt-keras", command, *required, "[--FLAG=VALUE ...]"])
    described = "\n\n".join(_described(values, flag) for flag in listed)
    return f"{inspect.cleandoc(doc)}\n\nUsage:\n\n    {usage}\n\nFlags:\n\n{described}"


def _listed(values: flags.FlagValues) -> Iterator[flags.Flag]:
    """Yields all flags in the order of their definition, `--help` last."""
    defined = dict.fromkeys(values[name] for name in values)
    yield from (flag for flag in defined if flag.name != "help")
    yield values["help"]


def _is_required(values: flags.FlagValues, flag: flags.Flag) -> bool:
    """Returns whether the flag's validators reject its default."""
    try:
        for validator in flag.validators:
            validator.verify(values)
    except flags.ValidationError:
        return True
    return False


def _form(flag: flags.Flag) -> str:
    """Returns the flag as the user types it, such as `--k=INTEGER`."""
    if flag.name == "help":
        return "--help, -h"
    if flag.boolean:
        return f"--{flag.name}, --no{flag.name}"
    choices = getattr(flag.parser, "enum_values", None)
    kind = f"{{{','.join(choices)}}}" if choices else _KINDS[flag.flag_type()]
    return f"--{flag.name}={kind}"


def _described(values: flags.FlagValues, flag: flags.Flag) -> str:
    """Returns a flag with its help; a line break in the help is kept."""
    text = _ENUM_PREFIX.sub("", flag.help)
    separator = "\n" if "\n" in text else " "
    if _is_required(values, flag):
        text += f"{separator}Required."
    elif flag.name != "help" and flag.default is not None:
        text += f"{separator}Defaults to {_typed(flag.default)}."
    return "\n".join([f"    {_form(flag)}", *indented(text)])


def indented(text: str) -> list[str]:
    """Returns the lines below a flag in a manual page; a line break is kept."""
    width = _WIDTH - len(_INDENT)
    return [
        _INDENT + line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, width, break_on_hyphens=False)
    ]


def _typed(value: object) -> str:
    """Returns a default as the user types it on the command line."""
    return str(value).lower() if isinstance(value, bool) else f"{value}"
