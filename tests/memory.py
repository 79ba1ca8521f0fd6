"""Measures the memory of this process."""

import ctypes
import gc
from pathlib import Path


def resident_kb():
    """Returns the resident memory in KiB, without what the allocator could return."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


def growth_kb(function, warm_up, calls):
    """Returns by how many KiB the memory grows in some calls after the first ones."""
    for _ in range(warm_up):
        function()
    before = resident_kb()
    for _ in range(calls):
        function()
    return resident_kb() - before
