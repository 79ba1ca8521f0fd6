"""Runs one side of `benchmarks.turns`: sets up, then measures once per line read.

Both sides use it, so that it needs only the standard library. Between measurements, a
side waits for a line and uses no CPU.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable

from benchmarks import processes

_WARM_UP = 5.0  # seconds, after the first step
_IDLE = 0.02  # cores in use
_MAX_WAIT = 30.0  # seconds


@dataclasses.dataclass
class Work:
    """The work that a side measures.

    Args:
        start: Function that returns the function to measure, which performs a step. It
            is called once per measurement, so that a pipeline starts with empty
            buffers.
        units: Integer, number of units per step, such as pairs of a batch. Defaults to
            `1`.
        lead_in: Float, seconds of steps before a measurement, so that a pipeline's
            buffers are as full before as after it. Defaults to `0.0`.
        extra: Dict of values for the harness, which `start` and the step may change.
            Defaults to an empty dict.
    """

    start: Callable
    units: int = 1
    lead_in: float = 0.0
    extra: dict = dataclasses.field(default_factory=dict)


def serve(prepare):
    """Runs a side until its standard input ends.

    Args:
        prepare: Function from the case, a dict, to `Work`.
    """
    if len(sys.argv) != 2:
        sys.exit("This is one side of a benchmark: run `python -m benchmarks.loss`.")
    processes.die_first()
    settings = json.loads(sys.argv[1])
    replies = _take_stdout()
    work = prepare(settings["case"])
    step = work.start()
    step()
    _run_for(min(_WARM_UP, settings["seconds"]), step)
    del step
    _settle()
    _reply(replies, {"extra": work.extra, "peak": processes.peak()})
    for _ in sys.stdin:
        seconds = _measure(work, settings["seconds"])
        _settle()
        reply = {"seconds": seconds, "extra": work.extra, "peak": processes.peak()}
        _reply(replies, reply)


def _measure(work, seconds):
    """Returns the seconds per unit, averaged over steps for `seconds`."""
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
    """Waits until workers have filled their queues and threads are idle."""
    interval, before = 0.25, processes.cpu_seconds()
    for _ in range(int(_MAX_WAIT / interval)):
        time.sleep(interval)
        now = processes.cpu_seconds()
        if now - before <= _IDLE * interval:
            return
        before = now


def _take_stdout():
    """Returns a file for replies; redirects prints of libraries to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _reply(replies, answer):
    print(json.dumps(answer), file=replies, flush=True)
