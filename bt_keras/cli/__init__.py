"""The command line: one module per command, each a thin layer over the library."""

import signal

from bt_keras import program

if (
    program.is_command()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    # Before and after `main`, Ctrl-C ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from bt_keras.cli.main import main

__all__ = ["main"]
