"""Compare runs: recipes, losses, results, and a ranking by a score without labels.

Prints the fields in which the recipes differ, the last losses and the results of each
run, and ranks the runs by a score of `bt-keras evaluate --protocol=labelfree`. The
runs must have been trained on the same images.

Examples:

    bt-keras compare runs/a runs/b runs/c
    bt-keras compare runs/* --score=lidar
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras import checks
from bt_keras.cli import flags
from bt_keras.studies.ranking import DEFAULT, SCORES

POSITIONAL = "WORKDIR WORKDIR ..."


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    absl_flags.DEFINE_string(
        "score",
        DEFAULT,
        f"Score that ranks the runs: {', '.join(SCORES)}; see docs/scores.md.",
        flag_values=values,
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    paths = flags.parse(values, arguments, positional=True)
    score = checks.choice("--score", values.score, list(SCORES))

    from bt_keras.studies.compare import compare
    from bt_keras.workdir import Workdir

    print(compare([Workdir(path) for path in paths], score))
