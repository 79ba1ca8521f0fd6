"""Measures the step, its feeding, the loss and replicas on a GPU against PyTorch.

python -m benchmarks.gpu                    # what does not fit into 8 minutes is named
python -m benchmarks.gpu --only replicas    # some sections alone
python -m benchmarks.gpu --quick            # on a CPU: checks that everything runs
"""

import argparse
import os
import sys
import tempfile
import time

from benchmarks import options, table
from benchmarks.gpu import card, turns
from benchmarks.gpu.side import median

_HEADER = ("case", "side", "median", "min - max", "torch / ours", "peak", "note")
# Environment variables that change what is measured.
_FLAGS = ("XLA_FLAGS", "TF_XLA_FLAGS")


def main(argv=None):
    values = _flags().parse_args(argv)
    names = values.only.split(",") if values.only else turns.SECTIONS
    for name in names:
        if name not in turns.SECTIONS:
            known = ", ".join(turns.SECTIONS)
            options.fail(f"--only: {name!r} is not one of the sections {known}.")
    _describe()
    table.line(_HEADER)
    table.line(["---"] * len(_HEADER))
    with tempfile.TemporaryDirectory(prefix="xla_cache") as cache:
        left_out = _measure(turns.select(names), values, cache)
    print("".join(f"\n- Not measured: {reason}" for reason in left_out), flush=True)


def _flags():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="tiny, also on a CPU")
    add("--minutes", type=options.positive(float), default=8.0, help="time limit")
    add(
        "--only",
        default="",
        metavar="SECTION,...",
        help=f"measure these alone: {', '.join(turns.SECTIONS)}",
    )
    add(
        "--peer-python",
        default=sys.executable,
        help="command of a Python that has torch, such as 'env -u PYTHONPATH python3'",
    )
    return parser


def _describe():
    flags = [f"{k}={os.environ[k]}" for k in _FLAGS if os.environ.get(k)]
    print(", ".join([time.strftime("%Y-%m-%d"), card.name(), *flags]) + "\n")


def _measure(selected, values, cache):
    """Prints the rows of all turns; returns what was not measured, and why."""
    until = time.time() + 60 * values.minutes
    torch_seconds, left_out = {}, []
    # While a process measures, the next one imports.
    waiting = [turns.start(turn, values, cache) for turn in selected[:2]]
    for number, turn in enumerate(selected):
        waiting += [turns.start(t, values, cache) for t in selected[number + 2 :][:1]]
        for reply in turns.replies(waiting[number], until):
            if "failure" in reply:
                left_out.append(f"{turn.side}, {reply['section']}: {reply['failure']}")
            if "took" in reply:
                took = f"{turn.side}, {reply['section']}: {reply['took']:.0f} s"
                print(took, file=sys.stderr)
            if "case" in reply:
                _row(turn.side, reply, torch_seconds)
    return left_out


def _row(side, reply, torch_seconds):
    case, seconds, units = reply["case"], reply["seconds"], reply["units"]
    unit = table.Unit("pairs/s", lambda s: units / s) if units else table.MILLISECONDS
    if side == "torch":
        torch_seconds[case] = median(seconds)
    ours = side != "torch"
    theirs = torch_seconds.get(_peer_case(case)) if ours else None
    ratio = f"{theirs / median(seconds):.2f}x" if theirs else ""
    shown = map(table.number, sorted(map(unit.of, (min(seconds), max(seconds)))))
    peak = table.size(reply["peak"]) if reply["peak"] else ""
    middle = f"{table.number(unit.of(median(seconds)))} {unit.name}"
    table.line([case, side, middle, " - ".join(shown), ratio, peak, reply["note"]])


def _peer_case(case):
    """Returns the name of PyTorch's case to compare one of ours with."""
    if case.startswith("loss"):
        return case.removesuffix(" (without XLA)")
    return ", ".join([*case.split(", ")[:3], "step"])


if __name__ == "__main__":
    main()
