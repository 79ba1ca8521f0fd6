"""The flags that all benchmarks share, and their one-line errors."""

import argparse
import os
import shutil
import sys

from benchmarks import turns

PEER_PYTHON = os.path.join(".venv-bench", "bin", "python")


def parser(description, rounds=5, seconds=None, peers=True, cases=True):
    """Builds the parser of a benchmark.

    Args:
        description: String, whose first line is printed by `--help`.
        rounds: Integer, how often each side is measured. Defaults to `5`.
        seconds: Float, duration of a measurement, or `None` if whole processes are
            measured. Defaults to `None`.
        peers: Boolean, whether there are peers. Defaults to `True`.
        cases: Boolean, whether there are several cases. Defaults to `True`.

    Returns:
        `argparse.ArgumentParser`.
    """
    made = argparse.ArgumentParser(description=description.partition("\n")[0])
    add = made.add_argument
    if peers:
        add(
            "--peer-python",
            default=PEER_PYTHON,
            help="Python interpreter with the packages of peers.txt",
        )
    add(
        "--rounds",
        type=positive(int),
        default=rounds,
        help="number of measurements of each side",
    )
    if seconds:
        add(
            "--seconds",
            type=positive(float),
            default=seconds,
            help="seconds per measurement",
        )
        add(
            "--minutes",
            type=positive(float),
            default=15,
            help="minutes per case after which no further round starts",
        )
    add(
        "--patience",
        type=positive(float),
        default=900,
        help="seconds to wait for a measurement",
    )
    if cases:
        add(
            "--only",
            default="",
            metavar="TEXT",
            help="measure cases with TEXT in their name",
        )
    add("--quick", action="store_true", help="check that it runs: tiny and once")
    return made


def parse(made, argv=None):
    """Returns the values of the flags; exits with a one-line error if invalid."""
    values = made.parse_args(argv)
    if values.quick:
        values.rounds = 1
        if hasattr(values, "seconds"):
            values.seconds = min(values.seconds, 0.5)
    if hasattr(values, "peer_python"):
        found = shutil.which(os.path.expanduser(values.peer_python))
        if not found:
            fail(
                f"there is no Python at {values.peer_python}: create it with `make "
                "bench-loss`, or set --peer-python to one with benchmarks/peers.txt."
            )
        values.peer_python = os.path.abspath(found)
    return values


def select_cases(cases, values):
    """Selects the cases whose name contains `--only`.

    Args:
        cases: Dict of name to case.
        values: Result of `parse`.

    Returns:
        List of (name, case).
    """
    found = [(name, case) for name, case in cases.items() if values.only in name]
    if not found:
        fail(f"--only={values.only!r} matches none of: {'; '.join(cases)}.")
    # Mark quick runs, whose times are not those of the case.
    return [(f"{name} (quick)" * values.quick or name, case) for name, case in found]


def ours(what, case, name="bt_keras"):
    """Returns the `turns.Side` of benchmarks/ours/`what`.py."""
    return turns.Side(name, sys.executable, f"benchmarks.ours.{what}", case)


def peer(what, case, name, values):
    """Returns the `turns.Side` of benchmarks/peers/`what`.py."""
    return turns.Side(name, values.peer_python, f"benchmarks.peers.{what}", case)


def fail(message):
    """Prints a one-line error and exits with status 2."""
    print(f"benchmarks: error: {message}", file=sys.stderr)
    sys.exit(2)


def positive(kind):
    """Returns a converter for flags of type `kind` greater than 0."""

    def convert(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
        return value

    return convert
