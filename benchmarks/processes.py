"""What Linux knows of a process and its children: memory, time, cores.

Shared by the harness and by both sides: the standard library only.
"""

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def num_cores():
    """Returns int, the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def total_memory():
    """Returns int, the machine's memory in bytes."""
    return _kilobytes("/proc/meminfo", "MemTotal:") * 1024


def resident(pid="self"):
    """Returns int, the bytes of a process that are in memory now."""
    return _kilobytes(f"/proc/{pid}/status", "VmRSS:") * 1024


def reset_peak():
    """Makes `peak` of this process forget what was before."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak(pid="self"):
    """The most memory that a process and its children have held.

    Args:
        pid: int, or `"self"`.

    Returns:
        int, bytes: the process's own peak, and what its children have for themselves
        now (their peaks would count again what they share with it).
    """
    own = _kilobytes(f"/proc/{pid}/status", "VmHWM:")
    private = sum(
        _kilobytes(f"/proc/{child}/smaps_rollup", "Private_Clean:", "Private_Dirty:")
        for child in _descendants(pid)
    )
    return (own + private) * 1024


def cpu_seconds(pid="self"):
    """Returns float, the CPU time so far of a process and its living children."""
    return sum(_cpu_ticks(p) for p in (pid, *_descendants(pid))) / _TICKS


def die_first():
    """Has the kernel end this process first, and not others, when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [child, *_descendants(child)]
    return found


def _cpu_ticks(pid):
    with contextlib.suppress(OSError):
        # The name, in brackets, may hold spaces; utime and stime follow it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def _kilobytes(file, *fields):
    """The sum of some fields of a file of `Name: 123 kB` lines; 0 if it is gone."""
    with contextlib.suppress(OSError):
        lines = Path(file).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(fields))
    return 0
