"""Make the runs of a queue, one after the other.

A queue is a folder with one entry for each run, which `bt_keras.studies.queue.Queue`
adds: a config and the protocols to evaluate the run with. Every run has a process of
its own. Results are in results.csv of the folder, which grows with every run; a run
that fails is recorded there with its error, and the next one begins. The same command
continues a queue that was stopped or killed; several processes can work on one queue.

Examples:

    bt-keras study --queue runs/queue
    bt-keras study --queue runs/queue --retry
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import faults, flags, start

ADVICE = faults.Advice(
    memory="lower config.batch_size of the runs, or the number of processes",
    resumes=True,
)


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    absl_flags.DEFINE_string("queue", None, "Folder of the queue.", flag_values=values)
    absl_flags.mark_flag_as_required("queue", flag_values=values)
    absl_flags.DEFINE_string(
        "entry",
        None,
        "Name of a single run to make, in this process. Defaults to all runs.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "retry", False, "Make failed runs again.", flag_values=values
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)

    from bt_keras.studies.queue import Queue

    queue = Queue(values.queue)
    if values.retry:
        queue.forget_failed()
    if values.entry:
        config, _ = queue.entry(values.entry)  # Raises before TensorFlow starts.
        strategy = start.local_strategy("auto", config.threads)

        from bt_keras.studies.run_entry import run_entry

        run_entry(queue, values.entry, strategy)
        return

    from bt_keras.studies.run_queue import run_queue

    command = [sys.executable, "-m", "bt_keras.cli", "study", f"--queue={queue.path}"]
    run_queue(queue, lambda name: [*command, f"--entry={name}"])
    print(f"results: {queue.results_file}")
