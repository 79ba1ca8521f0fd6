"""Memory, CPU time and cores of a process and its children, on Linux.

The harness and both sides use it, so that it needs only the standard library.
"""

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def num_cores():
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def total_memory():
    """Returns the memory of the machine in bytes."""
    return _kilobytes("/proc/meminfo", "MemTotal:") * 1024


def resident(pid="self"):
    """Returns the resident memory of a process in bytes."""
    return _kilobytes(f"/proc/{pid}/status", "VmRSS:") * 1024


def anonymous():
    """Returns the resident anonymous and shared memory of this process in bytes."""
    return _kilobytes("/proc/self/status", "RssAnon:", "RssShmem:") * 1024


def reset_peak():
    """Resets the peak memory of this process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak(pid="self"):
    """Returns the peak memory of a process and its children.

    Args:
        pid: Integer, or `"self"`. Defaults to `"self"`.

    Returns:
        Integer, bytes: the peak of the process plus the current private memory of its
        children, whose peaks would include memory that they share with it.
    """
    own = _kilobytes(f"/proc/{pid}/status", "VmHWM:")
    private = sum(
        _kilobytes(f"/proc/{child}/smaps_rollup", "Private_Clean:", "Private_Dirty:")
        for child in _descendants(pid)
    )
    return (own + private) * 1024


def cpu_seconds(pid="self"):
    """Returns the CPU time in seconds of a process and its running children."""
    return sum(_cpu_ticks(p) for p in (pid, *_descendants(pid))) / _TICKS


def die_first():
    """Makes the kernel kill this process first when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def _descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [child, *_descendants(child)]
    return found


def _cpu_ticks(pid):
    with contextlib.suppress(OSError):
        # The name in parentheses may contain spaces; utime and stime follow it.
        fields = (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="utf-8")
            .rpartition(")")[2]
            .split()
        )
        return int(fields[11]) + int(fields[12])
    return 0


def _kilobytes(file, *fields):
    """Sums fields of a file with `Name: 123 kB` lines; 0 if it does not exist."""
    with contextlib.suppress(OSError):
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(fields))
    return 0
