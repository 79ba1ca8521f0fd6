"""The flags that all benchmarks have, and their one-line errors."""

import argparse
import os
import shutil
import sys

from benchmarks import turns

PEER_PYTHON = os.path.join(".venv-bench", "bin", "python")


def parser(description, rounds=5, seconds=None, peers=True, cases=True):
    """Makes the parser of a benchmark.

    Args:
        description: str; its first line is shown.
        rounds: int, how often each side has its turn.
        seconds: float, the length of a burst; None where whole processes are measured.
        peers: bool, whether there are any.
        cases: bool, whether there are several to choose from.

    Returns:
        `argparse.ArgumentParser`.
    """
    made = argparse.ArgumentParser(description=description.partition("\n")[0])
    add = made.add_argument
    if peers:
        add("--peer-python", default=PEER_PYTHON, help="a Python with peers.txt")
    add("--rounds", type=above(int), default=rounds, help="turns of each side")
    if seconds:
        add("--seconds", type=above(float), default=seconds, help="length of a turn")
        add("--minutes", type=above(float), default=15, help="for a case's rounds")
    add("--patience", type=above(float), default=900, help="seconds for an answer")
    if cases:
        add("--only", default="", metavar="TEXT", help="cases with TEXT in their names")
    add("--quick", action="store_true", help="only to see that it runs: tiny, once")
    return made


def parse(made, argv=None):
    """Returns the flags' values; ends with one line if they cannot be used."""
    values = made.parse_args(argv)
    if values.quick:
        values.rounds = 1
        if hasattr(values, "seconds"):
            values.seconds = min(values.seconds, 0.5)
    if hasattr(values, "peer_python"):
        found = shutil.which(os.path.expanduser(values.peer_python))
        if not found:
            fail(
                f"no Python at {values.peer_python}: `make bench-loss` makes it, or "
                "give --peer-python one that has benchmarks/peers.txt."
            )
        values.peer_python = os.path.abspath(found)
    return values


def chosen(cases, values):
    """The cases that `--only` asks for.

    Args:
        cases: dict by name.
        values: what `parse` returned.

    Returns:
        list of (name, case).
    """
    found = [(name, case) for name, case in cases.items() if values.only in name]
    if not found:
        fail(f"--only {values.only!r} fits none of: {'; '.join(cases)}.")
    # Nobody should take these times for the case's.
    return [(f"{name} (quick)" * values.quick or name, case) for name, case in found]


def ours(what, case, name="bt_keras"):
    """Returns the `turns.Side` of benchmarks/ours/`what`.py."""
    return turns.Side(name, sys.executable, f"benchmarks.ours.{what}", case)


def peer(what, case, name, values):
    """Returns the `turns.Side` of benchmarks/peers/`what`.py."""
    return turns.Side(name, values.peer_python, f"benchmarks.peers.{what}", case)


def fail(message):
    """Ends with one line and exit status 2."""
    print(f"benchmarks: error: {message}", file=sys.stderr)
    sys.exit(2)


def above(kind):
    """Returns a converter for flags: `kind`, and more than 0."""

    def convert(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return convert
