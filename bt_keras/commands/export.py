"""`bt-keras export`."""

from absl import flags as absl_flags

from bt_keras import start
from bt_keras.commands import flags


def run(arguments):
    """Writes a run's backbone for others."""
    values = flags.new("workdir")
    absl_flags.DEFINE_string(
        "out", None, "Folder of the SavedModel; WORKDIR/module.", flag_values=values
    )
    flags.parse(values, arguments)
    start.tensorflow()

    from bt_keras.export import export
    from bt_keras.workdir import Workdir

    workdir = Workdir(values.workdir)
    folder, difference = export(workdir, values.out or workdir.module)
    print(f"{folder}: features differ by at most {difference:.2g} after reloading")
