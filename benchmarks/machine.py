"""Describes this machine and measures the speed of a large matrix product.

python -m benchmarks.machine
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import options, processes, table, turns

OUR_PACKAGES = ("tensorflow", "keras", "keras-cv", "numpy")
PEER_PACKAGES = ("torch", "torchvision", "lightly", "pillow")
# CPU features that determine the speed of matrix products in float32 and bfloat16.
_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
PRECISIONS = ("float32", "bfloat16")


def has_bfloat16():
    """Returns whether the CPU supports bfloat16 without emulation."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_cpu_field("flags").split())


def summary():
    """Returns the CPU in a few words, such as "AMD EPYC with AVX2, 2 cores"."""
    flags = _cpu_field("flags").split()
    widest = next((name for name in ("avx512f", "avx2") if name in flags), "")
    vectors = f" with {widest.upper()}" if widest else ""
    return f"{_cpu_field('model name')}{vectors}, {processes.num_cores()} cores"


def describe(peer_python=None):
    """Prints the machine and the versions of both sides as a Markdown list."""
    has = _cpu_field("flags").split()
    flags = ", ".join(flag if flag in has else f"no {flag}" for flag in _FLAGS)
    memory = table.size(processes.total_memory())
    cores = f"{processes.num_cores()} cores"
    print(f"- {_cpu_field('model name')}, {cores} ({flags}), {memory}")
    print(f"- bt_keras: {_versions(sys.executable, OUR_PACKAGES)}")
    if peer_python:
        print(f"- peers: {_versions(peer_python, PEER_PACKAGES)}")
    print(flush=True)


def peaks(values, precisions=PRECISIONS):
    """Measures the matrix product of both sides and prints a table.

    Args:
        values: Result of `options.parse`.
        precisions: Sequence of str.

    Returns:
        Dict of (`"ours"` or `"peers"`, precision) to float, FLOP/s.
    """
    found = {}
    table.header("GFLOP/s")
    for precision in precisions:
        case = {"precision": precision, "size": 512 if values.quick else 4096}
        sides = [
            options.ours("matmul", case),
            options.peer("matmul", case, "torch", values),
        ]
        results = turns.take_turns(sides, values)
        name = f"matrix product, {precision}"
        table.rows(
            name, results, table.MILLISECONDS, lambda r: f"{_flops(r) / 1e9:.0f}"
        )
        for side, result in zip(("ours", "peers"), results, strict=True):
            found[side, precision] = _flops(result) if result.seconds else None
    print(flush=True)
    return found


def _flops(result):
    return 2 * result.extra["size"] ** 3 / min(result.seconds)


def _cpu_field(field):
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _versions(python, packages):
    code = (
        "import json, sys; from importlib import metadata as m; "
        "print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    )
    run = subprocess.run(
        [python, "-c", code, *packages], capture_output=True, text=True
    )
    if run.returncode:
        options.fail(f"{python} lacks a package: {run.stderr.strip().splitlines()[-1]}")
    return ", ".join(f"{k} {v}" for k, v in json.loads(run.stdout).items())


if __name__ == "__main__":
    _values = options.parse(options.parser(__doc__, seconds=3.0, cases=False))
    describe(_values.peer_python)
    peaks(_values)
