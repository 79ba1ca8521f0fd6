"""The command line: one module per command, each a thin layer over the library."""

from bt_keras.cli.main import main

__all__ = ["main"]
