"""Measures several sides in turns, each in its own process.

Each side sets up (imports, compiles, warms up) and waits. In every round, one side
after the other measures while the rest wait, so that changes in the machine's load
affect all sides.
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
    """One of the sides that are compared.

    Args:
        name: String, as printed in the table.
        python: String, path of the interpreter.
        module: String, such as `"benchmarks.ours.loss"`, a module that calls
            `side.serve`.
        case: Dict for the module.
    """

    name: str
    python: str
    module: str
    case: dict


@dataclasses.dataclass
class Result:
    """The measurements of a side.

    Args:
        name: String, name of the side.
        seconds: List of float, seconds per unit in each round.
        peak: Integer, peak memory in bytes of the process and its children.
        extra: Dict, values that the side reported last.
        failure: String, why it did not run, or `None`.
    """

    name: str
    seconds: list = dataclasses.field(default_factory=list)
    peak: int = 0
    extra: dict = dataclasses.field(default_factory=dict)
    failure: str | None = None


def take_turns(sides, options):
    """Measures sides in turns.

    Args:
        sides: List of `Side`.
        options: Object with `rounds`, `seconds` (per measurement), `minutes` (after
            which no further round starts) and `patience` (seconds to wait for a
            measurement).

    Returns:
        List of `Result`, in the order of the sides.
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
            # Reverse the order in every other round, so that no side is always first.
            for player in players[:: -1 if number % 2 else 1]:
                player.measure()
        return [player.result for player in players]


def one_run(result, command, patience, until=None):
    """Adds the run of a whole process to a result; see `children.run`."""
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
    """A side's process; the constructor waits until it is ready."""

    def __init__(self, name, child, patience):
        self.result = Result(name)
        self._child = child
        self._process = child.process
        self._patience = patience
        self._answer()

    def measure(self):
        """Measures once."""
        if self.result.failure:
            return
        with contextlib.suppress(BrokenPipeError):  # `_answer` finds the reason.
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
            self.result.extra = answer["extra"]
            return answer
        timeout = f"no answer within {self._patience:g} s"
        died = "ended without an error message"
        self.result.failure = self._child.failure() or died if answered else timeout
        say(f"{self.result.name}: did not run: {self.result.failure}")
        self._child.end()  # Free its memory for the other sides.
        return {}


def say(message):
    """Prints progress to standard error, since tables go to standard output."""
    print(message, file=sys.stderr, flush=True)
