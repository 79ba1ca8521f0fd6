"""What the flags of every command have in common."""

from absl import flags

from bt_keras.errors import UsageError


def new(*required):
    """Returns `absl.flags.FlagValues` with `--help` and these required folders."""
    values = flags.FlagValues()
    for name in required:
        flags.DEFINE_string(name, None, "The folder of the run.", flag_values=values)
        flags.mark_flag_as_required(name, flag_values=values)
    flags.DEFINE_bool("help", False, "Show this.", short_name="h", flag_values=values)
    return values


def parse(values, arguments, known_only=False):
    """Parses a command's arguments into its flags; returns what is left of them."""
    if {"--help", "-h"} & set(arguments):
        print(values.get_help())
        raise SystemExit(0)
    if "--" in arguments:
        raise UsageError(
            "'--' is not a flag, and what follows it would be passed over."
        )
    rest = values(["bt-keras", *arguments], known_only=known_only)[1:]
    if rest and not known_only:
        raise UsageError(f"{rest[0]!r} is not a flag.")
    return rest


def without(arguments, names):
    """Takes `--name value` and `--name=value` out."""
    rest, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if skip:
            skip = False
        elif argument.startswith("-") and name in names:
            skip = not equals
        else:
            rest.append(argument)
    return rest
