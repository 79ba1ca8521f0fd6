"""A side's end of `benchmarks.turns`: set up, then a burst for every line read.

Shared by both sides: the standard library only. A side that is not measuring waits
for a line and uses no CPU.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable

from benchmarks import processes

_WARM_UP = 5.0  # seconds, after the first step
_SETTLED = 0.02  # cores
_SETTLING = 30.0  # seconds at most


@dataclasses.dataclass
class Work:
    """What a side measures.

    Args:
        start: function that returns the function to measure, which takes a step. It
            is called once a burst, so that a pipeline begins each with empty buffers.
        units: int, how many of what is counted a step does: pairs of a batch, say.
        lead_in: float, seconds of steps that go before a burst and do not count: a
            pipeline's buffers are neither fuller nor emptier after it.
        facts: dict that the harness reads.
    """

    start: Callable
    units: int = 1
    lead_in: float = 0.0
    facts: dict = dataclasses.field(default_factory=dict)


def serve(prepare):
    """Runs a side until its standard input ends.

    Args:
        prepare: function from the case, a dict, to `Work`.
    """
    if len(sys.argv) != 2:
        sys.exit("This is a side of a benchmark: run `python -m benchmarks.loss`.")
    processes.die_first()
    settings = json.loads(sys.argv[1])
    replies = _take_stdout()
    work = prepare(settings["case"])
    step = work.start()
    step()
    _run_for(min(_WARM_UP, settings["seconds"]), step)
    del step
    _settle()
    _reply(replies, {"facts": work.facts, "peak": processes.peak()})
    for _ in sys.stdin:
        seconds = _burst(work, settings["seconds"])
        _settle()
        _reply(replies, {"seconds": seconds, "peak": processes.peak()})


def _burst(work, seconds):
    """Seconds for a unit, over as many steps as fill `seconds`."""
    step = work.start()
    _run_for(work.lead_in, step)
    steps, elapsed = _run_for(seconds, step)
    return elapsed / (steps * work.units)


def _run_for(seconds, step):
    steps, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        step()
        steps += 1
    return steps, elapsed


def _settle():
    """Waits until workers have filled their queues and threads have gone to sleep."""
    interval, before = 0.25, processes.cpu_seconds()
    for _ in range(int(_SETTLING / interval)):
        time.sleep(interval)
        now = processes.cpu_seconds()
        if now - before <= _SETTLED * interval:
            return
        before = now


def _take_stdout():
    """A file for replies; whatever a library prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _reply(replies, answer):
    print(json.dumps(answer), file=replies, flush=True)
