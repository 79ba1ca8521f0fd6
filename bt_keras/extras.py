"""Packages that only some commands need, the extras of setup.cfg."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from bt_keras.errors import UsageError, one_line


def require(purpose: str, extra: str, packages: Mapping[str, str]) -> None:
    """Raises `UsageError` if a package of an extra cannot be imported.

    Args:
        purpose: String, what needs it, for the message, such as `"--format=onnx"`.
        extra: String, the name of the extra.
        packages: Mapping from the modules to import to the names of their packages.

    Example:

    >>> from bt_keras import extras
    >>> extras.require("the page of a run", "report", {"altair": "altair"})
    >>> try:
    ...     extras.require("--format=x", "x", {"x_format": "x-format"})
    ... except bt_keras.UsageError as error:
    ...     print(error)
    --format=x needs x-format: pip install 'bt-keras[x]'.
    """
    for name, package in packages.items():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{purpose} needs {package if error.name == name else error.name}: "
                f"pip install 'bt-keras[{extra}]'."
            ) from error
        # What a package of other versions raises is not known.
        except Exception as error:
            raise UsageError(
                f"{purpose} needs {package}, which cannot be imported "
                f"({type(error).__name__}: {one_line(error).rstrip('.')}): "
                f"pip install --upgrade 'bt-keras[{extra}]'."
            ) from error
