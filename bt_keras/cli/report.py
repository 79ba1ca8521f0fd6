"""`bt-keras report`."""

from bt_keras.cli import flags


def run(arguments):
    """Prints what a workdir holds."""
    values = flags.new("workdir")
    flags.parse(values, arguments)

    from bt_keras.evaluation.report import report
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    workdir.config()  # It says so if there is no run.
    print(report(workdir))
