"""Measures the step, its feeding, the loss and replicas on a GPU against PyTorch.

python -m benchmarks.gpu            # within 8 minutes; what does not fit is named
python -m benchmarks.gpu --quick    # on a CPU: checks that everything runs
"""

import argparse
import json
import shlex
import subprocess
import sys
import threading
import time

from benchmarks import table
from benchmarks.gpu.side import median

# In the order of importance: a process imports and compiles anew, which takes longer
# than most measurements.
_TURNS = (
    ("torch", "peers", "resnet50,losses,resnet18", ()),
    ("bt_keras", "ours", "resnet50,resnet18,losses", ()),
    ("bt_keras", "ours", "replicas", ("--replicas", "2")),
    ("bt_keras", "ours", "unstacked,float16,deterministic", ()),
    ("torch", "peers", "compiled", ()),
    ("bt_keras", "ours", "replicas", ("--replicas", "4")),
)
# Seconds after the time limit in which a section that has begun may end.
_GRACE = 30.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny, also on a CPU")
    parser.add_argument("--minutes", type=float, default=8.0, help="time limit")
    parser.add_argument(
        "--peer-python",
        default=sys.executable,
        help="command of a Python that has torch, such as 'env -u PYTHONPATH python3'",
    )
    values = parser.parse_args()
    until = time.time() + 60 * values.minutes
    _describe()
    header = ("case", "side", "median", "min - max", "torch / ours", "peak", "note")
    _line(header)
    _line(["---"] * len(header))
    torch_seconds, left_out = {}, []
    waiting = [_start(turn, values) for turn in _TURNS[:2]]
    for number, turn in enumerate(_TURNS):
        process = waiting[number]
        if number + 2 < len(_TURNS):  # It imports while others measure.
            waiting.append(_start(_TURNS[number + 2], values))
        for reply in _replies(process, until):
            if "failure" in reply:
                left_out.append(f"{turn[0]}, {reply['section']}: {reply['failure']}")
            if "took" in reply:
                print(
                    f"{turn[0]}, {reply['section']}: {reply['took']:.0f} s",
                    file=sys.stderr,
                )
            if "case" in reply:
                _row(turn[0], reply, torch_seconds)
    print("".join(f"\n- Not measured: {reason}" for reason in left_out), flush=True)


def _describe():
    names = "name,memory.total,driver_version"
    command = ["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader"]
    try:
        card = subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        card = "no GPU\n"
    print(f"{time.strftime('%Y-%m-%d')}, {card.splitlines()[0]}\n")


def _start(turn, values):
    _, module, sections, flags = turn
    python = shlex.split(values.peer_python) if module == "peers" else [sys.executable]
    command = [*python, "-m", f"benchmarks.gpu.{module}", "--sections", sections]
    command += [*flags, *["--quick"] * values.quick]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe)


def _replies(process, until):
    """Yields the replies of a side, which starts to measure now."""
    limit = threading.Timer(max(until - time.time(), 0) + _GRACE, process.kill)
    limit.start()
    try:
        ready = process.stdout.readline()
        if ready:
            process.stdin.write(f"{until}\n")
            process.stdin.flush()
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
    finally:
        limit.cancel()
        process.stdin.close()
        status = process.wait()
    if status:
        yield {"section": "all", "failure": f"exit status {status}"}


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
    _line([case, side, middle, " - ".join(shown), ratio, peak, reply["note"]])


def _peer_case(case):
    """Returns the name of PyTorch's case to compare one of ours with."""
    if case.startswith("loss"):
        return case.removesuffix(" (without XLA)")
    return ", ".join([*case.split(", ")[:3], "step"])


def _line(cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
