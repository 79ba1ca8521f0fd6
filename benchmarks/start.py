"""Startup time: of the import, and until the first step of the demo.

python -m benchmarks.start

The import is that of bt_keras and the public names of a training script, without that
of TensorFlow. The time to the first step is from the start of the command until Keras's
progress bar displays the step.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import children, machine, options, table, turns

# Keras's progress bar starts with the number of completed steps.
_FIRST_STEP = rb"(?m)^\s*\d+/\d+\s"


def main():
    values = options.parse(options.parser(__doc__, peers=False))
    cases = options.select_cases(CASES, values)
    machine.describe()
    table.header()
    for name, measure in cases:
        result = turns.Result("bt_keras")
        for _ in range(values.rounds):
            measure(result, values)
        table.rows(name, [result], table.SECONDS)


def _import(result, values):
    del values
    command = [sys.executable, "-m", "benchmarks.ours.imports"]
    environment = children.environment()
    run = subprocess.run(
        command, cwd=children.ROOT, env=environment, capture_output=True, text=True
    )
    if run.returncode:
        result.failure = run.stderr.strip().splitlines()[-1]
        return
    seconds, peak = run.stdout.split()
    result.seconds.append(float(seconds))
    result.peak = max(result.peak, int(peak))


def _first_step(result, values):
    command = [sys.executable, "-m", "bt_keras.cli", "pretrain"]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--config", "configs/demo.py", "--workdir", str(Path(folder) / "w")]
        turns.one_run(result, command, values.patience, until=_FIRST_STEP)


CASES = {
    "import bt_keras": _import,
    "from `bt-keras pretrain --config configs/demo.py` to its first step": _first_step,
}

if __name__ == "__main__":
    main()
