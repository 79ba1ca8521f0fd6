"""Print the losses and results that a run has recorded.

Examples:

    bt-keras report --workdir runs/demo
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import flags


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    return flags.new("workdir")


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)

    from bt_keras.evaluation.report import report
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    workdir.config()  # Raises if the folder holds no run.
    print(report(workdir))
