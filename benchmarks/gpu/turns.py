"""The processes of a run: which sections each measures, and in which order."""

import contextlib
import dataclasses
import itertools
import json
import os
import shlex
import subprocess
import sys
import threading
import time

from benchmarks import options

# Seconds after the time limit in which a section that has begun may end.
_GRACE = 30.0


@dataclasses.dataclass(frozen=True)
class Turn:
    """A process of one side.

    Args:
        side: String, `"torch"` or `"bt_keras"`.
        sections: Tuple of strings, what it measures.
        flags: Tuple of strings, further flags. Defaults to `()`.
        caches: Boolean, whether XLA keeps what it compiles for the next such process.
            Defaults to `False`.
    """

    side: str
    sections: tuple
    flags: tuple = ()
    caches: bool = False


# In the order of importance: a process imports and compiles anew, which takes longer
# than most measurements.
TURNS = (
    Turn("torch", ("resnet50", "losses", "resnet18")),
    Turn("bt_keras", ("resnet50", "resnet18", "losses")),
    Turn("bt_keras", ("replicas",), ("--replicas", "2")),
    Turn("bt_keras", ("pooling", "finished", "unstacked", "float16", "deterministic")),
    Turn("torch", ("compiled",)),
    Turn("bt_keras", ("replicas",), ("--replicas", "4")),
    Turn("bt_keras", ("cached",), caches=True),
    Turn("bt_keras", ("cached",), caches=True),
    Turn("bt_keras", ("executions",)),
)
SECTIONS = tuple(dict.fromkeys(itertools.chain(*(turn.sections for turn in TURNS))))


def select(names):
    """Returns the turns that measure some of the sections, without the others.

    Args:
        names: Iterable of names in `SECTIONS`.
    """
    kept = (
        dataclasses.replace(
            turn, sections=tuple(s for s in turn.sections if s in names)
        )
        for turn in TURNS
    )
    return [turn for turn in kept if turn.sections]


def start(turn, values, cache):
    """Starts the process of a turn, which imports and then waits for its limit.

    Args:
        turn: `Turn`.
        values: Flags of `python -m benchmarks.gpu`.
        cache: String, the folder of XLA's persistent cache.

    Returns:
        `subprocess.Popen`.
    """
    peer = turn.side == "torch"
    python = shlex.split(values.peer_python) if peer else [sys.executable]
    command = [*python, "-m", f"benchmarks.gpu.{'peers' if peer else 'ours'}"]
    command += ["--sections", ",".join(turn.sections), *turn.flags]
    command += ["--quick"] * values.quick
    environment = dict(os.environ)
    if turn.caches:
        flags = f"--tf_xla_persistent_cache_directory={cache}"
        environment["TF_XLA_FLAGS"] = f"{environment.get('TF_XLA_FLAGS', '')} {flags}"
        command += ["--cache", cache]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command, text=True, stdin=pipe, stdout=pipe, env=environment
        )
    except OSError as error:
        options.fail(f"--peer-python={values.peer_python}: {error}.")


def replies(process, until):
    """Yields the replies of a process, which starts to measure now.

    Args:
        process: `subprocess.Popen` of `start`.
        until: Float, the time since the epoch at which sections are left out.
    """
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
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        status = process.wait()
    if status:
        yield {"section": "all", "failure": f"exit status {status}"}
