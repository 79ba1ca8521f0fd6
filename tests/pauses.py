"""Runs of `bt-keras pretrain` that pause at a chosen step, for signals from outside.

A signal that arrives while the run is paused takes effect at exactly that step, however
fast the machine is.
"""

import os
import signal
from pathlib import Path

# Appended to a config file, the only code of the test that the process executes.
# PAUSE_AT is "EVENT STEP"; the process stops itself (SIGSTOP) once, at the first EVENT
# after STEP steps of the run:
#   begin  before the first step of this process
#   step   after a step
#   write  in the middle of writing a checkpoint
_HOOKS = """

import os as _os
import signal as _signal
import zipfile as _zipfile

from bt_keras.checkpoint.callbacks import ProgressTracker as _Tracker

_event, _, _at = _os.environ.get("PAUSE_AT", "").partition(" ")
_step, _paused = -1, False


def _pause(event):
    global _paused
    if event == _event and _step >= int(_at) and not _paused:
        _paused = True
        _os.kill(_os.getpid(), _signal.SIGSTOP)


def _after(owner, name, event):
    function = getattr(owner, name)

    def pausing(self, *args, **kwargs):
        global _step
        result = function(self, *args, **kwargs)
        if isinstance(self, _Tracker):
            _step = self.progress.step
        _pause(event)
        return result

    setattr(owner, name, pausing)


_after(_Tracker, "__init__", "begin")
_after(_Tracker, "on_train_batch_end", "step")
_after(_zipfile.ZipFile, "writestr", "write")
"""


def add_hooks(recipe):
    """Adds the code that reads PAUSE_AT to a config file.

    Args:
        recipe: `Path` of the config file.

    Returns:
        The path.
    """
    recipe.write_text(recipe.read_text() + _HOOKS)
    return recipe


def wait(process, log):
    """Waits until a process has paused; fails with its log if it has ended."""
    found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert found.si_code == os.CLD_STOPPED, Path(log).read_text(encoding="utf-8")


def send(process, number):
    """Sends a signal to a paused process, which resumes with it."""
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
