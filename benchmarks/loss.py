"""The loss, forward and backward with respect to both projections.

python -m benchmarks.loss

The last column is the peak memory above the process's own before there were inputs,
over the four float32 N x D tensors that any way to train must hold: both projections
and both gradients.
"""

from benchmarks import machine, options, processes, table, turns

# (N, D)
CASES = {
    "loss, N=256, D=8192": (256, 8192),
    "loss, N=1024, D=8192": (1024, 8192),
    "loss, N=256, D=131072": (256, 131_072),
    "loss, N=256, D=262144": (256, 262_144),
}
QUICK = {
    "loss, N=32, D=512": (32, 512),
    "loss, N=32, D=131072": (32, 131_072),
}
# lightly's loss holds the D x D matrix and, at least, its gradient.
_MATRICES = 2


def main():
    values = options.parse(options.parser(__doc__, seconds=3.0))
    cases = options.chosen(QUICK if values.quick else CASES, values)
    machine.describe(values.peer_python)
    table.header("peak above start / 4ND")
    for name, (n, d) in cases:
        _compare(name, n, d, values)


def _compare(name, n, d, values):
    case = {"n": n, "d": d}
    sides, left_out = [options.ours("loss", case)], []
    lightly = options.peer("loss", case, "lightly", values)
    needed = _MATRICES * 4 * d * d
    if needed > processes.total_memory():
        reason = f"needs at least {table.size(needed)} for D x D and its gradient"
        left_out = [turns.Result(lightly.name, failure=reason)]
    else:
        sides.append(lightly)
    results = turns.take_turns(sides, values) + left_out

    def memory(result):
        above = result.peak - result.facts["baseline"]
        return f"{table.number(above / (4 * 4 * n * d))}x"

    table.rows(name, results, table.MILLISECONDS, memory)


if __name__ == "__main__":
    main()
