"""The memory that `bt-keras plan` computes, and the peak of training steps on a CPU.

python -m benchmarks.plan

Each network trains for four steps on random views in a process of its own. Its peak is
that above the memory of the process when TensorFlow has started.
"""

import json
import subprocess
import sys

from benchmarks import children, machine, options, table

_PARTS = (
    "weights",
    "slots",
    "gradients",
    "views",
    "activations",
    "passed_back",
    "loss",
    "update",
)
_RESNET18 = {
    "backbone.depth": 18,
    "backbone.stem": "cifar",
    "views.size": 32,
    "batch_size": 256,
}
_NARROW = _RESNET18 | {"backbone.width": 0.25, "projector": (1024,) * 3}
# Its images shrink to one pixel: nearly all memory is that of the projector.
_WIDE = {
    "backbone.depth": 18,
    "backbone.width": 0.125,
    "views.size": 32,
    "batch_size": 256,
}
_ADAMW = {"optimizer.name": "adamw", "optimizer.options": {}}
CASES = {
    "ResNet-18 of width 0.25, 32 px, D=1024, batch 256": _NARROW,
    "the same, batch 1024": _NARROW | {"batch_size": 1024},
    "the same, batch 1024, 4 micro-batches": _NARROW
    | {"batch_size": 1024, "microbatches": 4},
    "ResNet-18, 32 px, D=2048, batch 256": _RESNET18 | {"projector": (2048,) * 3},
    "ResNet-50, 224 px, D=8192, batch 8": {"batch_size": 8},
    "tiny backbone, D=8192, batch 256, Gram matrices": _WIDE
    | {"method.options": {"implementation": "gram"}},
    "tiny backbone, D=8192, batch 256, cross-correlation": _WIDE
    | {"method.options": {"implementation": "correlation"}},
    "tiny backbone, D=8192, batch 256, AdamW": _WIDE | _ADAMW,
}
_QUICK = {
    "backbone.depth": 18,
    "backbone.width": 0.25,
    "views.size": 32,
    "batch_size": 8,
    "projector": (64, 64),
}


def main():
    values = options.parse(options.parser(__doc__, rounds=1, peers=False))
    cases = options.select_cases(CASES, values)
    machine.describe()
    names = [part.replace("_", " ") for part in _PARTS]
    columns = ["case", *names, "plan", "measured peak", "plan / measured"]
    table.line(columns)
    table.line(["---"] * len(columns))
    for name, case in cases:
        found = _measure(case | _QUICK if values.quick else case, values)
        parts = [table.size(found["plan"][part]) for part in _PARTS]
        total, peak = found["plan"]["total"], found["measured"]
        sizes = [table.size(total), table.size(peak)]
        table.line([name, *parts, *sizes, f"{total / peak:.2f}x"])


def _measure(case, values):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ours.plan", json.dumps(case)],
        cwd=children.ROOT,
        env=children.environment(),
        capture_output=True,
        text=True,
        timeout=values.patience,
    )
    if done.returncode:
        options.fail(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
