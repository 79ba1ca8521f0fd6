"""Print a config with all its fields.

Prints the config that `bt-keras pretrain` would train with the same flags, as the
config.json of its workdir, after checking the type and the range of every value.

Examples:

    bt-keras config --config demo
    bt-keras config --config demo --config.epochs=20 --config.views.size=64
    bt-keras config --workdir runs/demo
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import config_flags, config_manual, flags

manual_end = config_manual.text


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    config_flags.define_with_workdir(values, "the run whose config is printed")
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments, known_only=True)
    config = config_flags.resolve_one(values, arguments)

    from bt_keras import config as config_lib

    print(config_lib.to_json(config), end="")
