"""Both implementations of the loss where `implementation="auto"` changes between them.

python -m benchmarks.crossover

Forward and backward with respect to both embeddings. `"auto"` selects the Gram form if
N < 0.75 D. Replicas are logical CPUs that share this machine's cores.
"""

from benchmarks import machine, options, table, turns

_RATIOS = (0.625, 0.75, 0.875, 1.0)  # N / D
_IMPLEMENTATIONS = ("gram", "correlation")


def main():
    made = options.parser(__doc__, rounds=3, seconds=2.0, peers=False)
    values = options.parse(made)
    cases = options.select_cases(QUICK if values.quick else CASES, values)
    machine.describe()
    table.header(ratio="time / first side's")
    for name, case in cases:
        sides = [
            options.ours("loss", case | {"implementation": way}, way)
            for way in _IMPLEMENTATIONS
        ]
        table.rows(name, turns.take_turns(sides, values), table.MILLISECONDS)


def _cases(widths, ratios, replicas):
    return {
        f"D={d}, N={ratio} D, replicas: {replicas}": {
            "n": round(ratio * d),
            "d": d,
            "replicas": replicas,
        }
        for d in widths
        for ratio in ratios
    }


CASES = _cases((512, 1024, 2048, 4096), _RATIOS, 1) | _cases((1024,), _RATIOS, 2)
QUICK = _cases((64,), (0.75,), 1) | _cases((64,), (0.75,), 2)

if __name__ == "__main__":
    main()
