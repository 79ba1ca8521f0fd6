"""`bt-keras evaluate`."""

from absl import flags as absl_flags

from bt_keras import start
from bt_keras.commands import flags


def run(arguments):
    """Judges a run's backbone and prints what it is worth."""
    values = flags.new("workdir")
    absl_flags.DEFINE_bool(
        "untrained",
        False,
        "Evaluate the run's initial weights in place of its newest checkpoint.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "protocol",
        "cached",
        "The linear probe: cached (features of centre crops, computed once) or full "
        "(the paper's, with random crops).",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "source", None, "Labelled images other than the run's.", flag_values=values
    )
    absl_flags.DEFINE_integer("k", None, "Neighbours that vote.", flag_values=values)
    absl_flags.DEFINE_float("temperature", None, "Of their votes.", flag_values=values)
    flags.parse(values, arguments)
    start.tensorflow()

    from bt_keras.evaluate import evaluate
    from bt_keras.report import results_table
    from bt_keras.workdir import Workdir

    knn = {"k": values.k, "temperature": values.temperature}
    rows = evaluate(
        Workdir(values.workdir),
        untrained=values.untrained,
        protocol=values.protocol,
        source=values.source,
        knn={name: value for name, value in knn.items() if value is not None},
    )
    print(results_table(rows))
