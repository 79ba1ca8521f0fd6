"""Runs the sections of one side; prints a line of JSON for every row.

Needs only the standard library: both sides use it.
"""

import argparse
import gc
import json
import statistics
import sys
import time

# In the messages of PyTorch, TensorFlow and XLA.
_OUT_OF_MEMORY = ("out of memory", "Out of memory", "OOM when", "RESOURCE_EXHAUSTED")


class Side:
    """A process that measures sections in their order of importance.

    Args:
        synchronize: Function that waits for the device.
        peak: Function that returns the peak memory of the device in bytes, or `None`,
            and resets it.
    """

    def __init__(self, synchronize, peak):
        self._synchronize, self._peak = synchronize, peak
        parser = argparse.ArgumentParser()
        parser.add_argument("--quick", action="store_true")
        parser.add_argument("--replicas", type=int, default=1)
        parser.add_argument("--sections", default="")
        parser.add_argument("--cache", default="")
        self.values = parser.parse_args()
        self.quick = self.values.quick

    def serve(self, sections):
        """Waits for the time limit on standard input, then measures.

        Args:
            sections: Dict of names to `(function, seconds)`: a function that measures
                and calls `row`, and how long it takes at most on an H200.
        """
        self._reply(ready=True)
        until = float(sys.stdin.readline() or 0)
        names = self.values.sections.split(",") if self.values.sections else sections
        for name in names:
            measure, seconds = sections[name]
            if time.time() + (0 if self.quick else seconds) > until:
                self._reply(section=name, failure="left out: no time left")
                continue
            begin = time.time()
            self.attempt(name, measure)
            self._reply(section=name, took=time.time() - begin)

    def attempt(self, name, measure, *args):
        """Measures a section or a case; if it fails, the others are still measured.

        Args:
            name: String, what is measured.
            measure: Function that calls `row`.
            *args: Its arguments.
        """
        try:
            measure(*args)
        except Exception as error:
            self._reply(section=name, failure=_reason(error))
        gc.collect()  # Frees the memory of the device, also after a failure.

    def row(self, case, seconds, units=None, note=""):
        """Prints a row: medians of `seconds`, for steps of `units` pairs."""
        self._reply(
            case=case, seconds=seconds, units=units, note=note, peak=self._peak()
        )

    def time(self, run, steps=20, rounds=3):
        """Returns the seconds per step of `run(steps)`, one value for each round."""
        if self.quick:
            steps, rounds = 2, 2
        results = []
        for _ in range(rounds):
            self._synchronize()
            begin = time.perf_counter()
            run(steps)
            self._synchronize()
            results.append((time.perf_counter() - begin) / steps)
        return results

    def first(self, run):
        """Returns the seconds of the first step, which compiles it."""
        begin = time.perf_counter()
        run(1)
        self._synchronize()
        return time.perf_counter() - begin

    @staticmethod
    def _reply(**fields):
        print(json.dumps(fields), flush=True)


def _reason(error):
    """Describes an exception in one line, out of memory in three words."""
    text = " ".join(str(error).split())
    if any(words in text for words in _OUT_OF_MEMORY):
        return "out of memory"
    return f"{type(error).__name__}: {text[:200]}"


def repeat(step):
    """Returns a function of a number of steps that calls `step`."""

    def run(steps):
        for _ in range(steps):
            step()

    return run


def median(seconds):
    return statistics.median(seconds)
