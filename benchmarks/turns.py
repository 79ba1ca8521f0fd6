"""Measures several sides in one run, in turns, each in a process of its own.

A side sets up (imports, compiles, warms up) and waits. Then, round by round, each in
turn is told to measure one burst while the others wait, so that whatever else the
machine does in these minutes happens to all of them.
"""

import contextlib
import dataclasses
import json
import select
import sys
import time

from benchmarks import children


@dataclasses.dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Args:
        name: str, as in the table.
        python: str, the interpreter.
        module: str, such as `"benchmarks.ours.loss"`: it calls `side.serve`.
        case: dict that the module reads.
    """

    name: str
    python: str
    module: str
    case: dict


@dataclasses.dataclass
class Result:
    """What a side gave.

    Args:
        name: str, the side's.
        seconds: list of float, for a unit, one a round.
        peak: int, bytes, of the whole process and its children.
        facts: dict, what the side said about itself.
        failure: str, why it did not run, or None.
    """

    name: str
    seconds: list = dataclasses.field(default_factory=list)
    peak: int = 0
    facts: dict = dataclasses.field(default_factory=dict)
    failure: str | None = None


def take_turns(sides, options):
    """Measures some sides in turns.

    Args:
        sides: list of `Side`.
        options: with `rounds`, `seconds` (of a burst), `minutes` (after which no
            further round begins) and `patience` (seconds to wait for an answer).

    Returns:
        list of `Result`, in the order of the sides.
    """
    with contextlib.ExitStack() as stack:
        players = []
        for side in sides:
            say(f"{side.name}: setting up")
            child = stack.enter_context(children.started(_command(side, options)))
            players.append(_Player(side.name, child, options.patience))
        begin = time.monotonic()
        for number in range(options.rounds):
            if number and time.monotonic() - begin > options.minutes * 60:
                break
            # Every other round the other way round: no side always goes first.
            for player in players[:: -1 if number % 2 else 1]:
                player.burst()
        return [player.result for player in players]


def one_run(result, command, patience, until=None):
    """Adds a run of a whole process to a result; see `children.run`."""
    if result.failure:
        return
    seconds, peak, result.failure = children.run(command, patience, until)
    result.peak = max(result.peak, peak)
    if result.failure:
        say(f"{result.name}: did not run: {result.failure}")
    else:
        result.seconds.append(seconds)
        say(f"{result.name}: {seconds:.4g} s")


def _command(side, options):
    settings = {"case": side.case, "seconds": options.seconds}
    return [side.python, "-m", side.module, json.dumps(settings)]


class _Player:
    """The harness's end of a side's process. Making it waits until that is ready."""

    def __init__(self, name, child, patience):
        self.result = Result(name)
        self._child = child
        self._process = child.process
        self._patience = patience
        self.result.facts = self._answer().get("facts", {})

    def burst(self):
        if self.result.failure:
            return
        with contextlib.suppress(BrokenPipeError):  # `_answer` finds out why.
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()
        answer = self._answer()
        if answer:
            self.result.seconds.append(answer["seconds"])
            say(f"{self.result.name}: {answer['seconds']:.4g} s")

    def _answer(self):
        waiting = [self._process.stdout]
        answered = select.select(waiting, [], [], self._patience)[0]
        line = self._process.stdout.readline() if answered else b""
        if line:
            answer = json.loads(line)
            self.result.peak = max(self.result.peak, answer["peak"])
            return answer
        silence = f"no answer within {self._patience:g} s"
        died = "ended without a word"
        self.result.failure = self._child.failure() or died if answered else silence
        say(f"{self.result.name}: did not run: {self.result.failure}")
        self._child.end()  # Its memory is for the others.
        return {}


def say(message):
    """Tells the one who waits how far it is, apart from the tables on stdout."""
    print(message, file=sys.stderr, flush=True)
