"""The loss, forward and backward with respect to both embeddings.

python -m benchmarks.loss

The last column is the peak memory minus the memory before the inputs were created,
divided by the size of the four float32 N x D tensors that every implementation needs:
both embeddings and both gradients.
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
# D x D matrices that lightly's loss needs at least: the correlation and its gradient.
_MATRICES = 2


def main():
    values = options.parse(options.parser(__doc__, seconds=3.0))
    cases = options.select_cases(QUICK if values.quick else CASES, values)
    machine.describe(values.peer_python)
    table.header("peak above start / 4ND")
    for name, (n, d) in cases:
        _compare(name, n, d, values)


def _compare(name, n, d, values):
    case = {"n": n, "d": d}
    sides, skipped = [options.ours("loss", case)], []
    lightly = options.peer("loss", case, "lightly", values)
    needed = _MATRICES * 4 * d * d
    if needed > processes.total_memory():
        reason = f"needs at least {table.size(needed)} for D x D and its gradient"
        skipped = [turns.Result(lightly.name, failure=reason)]
    else:
        sides.append(lightly)
    results = turns.take_turns(sides, values) + skipped

    def memory(result):
        above = result.peak - result.extra["baseline"]
        return f"{table.number(above / (4 * 4 * n * d))}x"

    table.rows(name, results, table.MILLISECONDS, memory)


if __name__ == "__main__":
    main()
