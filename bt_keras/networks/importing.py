"""Imports the function or class that makes a network."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

from bt_keras import checks
from bt_keras.errors import UsageError, one_line

_EXAMPLE = "such as keras.applications.ConvNeXtTiny"
_APPLICATIONS = ("keras.applications", "keras.src.applications")
# No function of theirs makes a network, and some write files or run programs.
_OTHERS = {*sys.stdlib_module_names, "keras", "numpy", "tensorflow"}


def find(name: str) -> Callable:
    """Imports the function or class that makes a network.

    Args:
        name: String, the function or class with its module, such as
            `"keras.applications.MobileNet"`.

    Returns:
        The function or class.

    Raises:
        UsageError: As `named`, or if it cannot make a network: it is not callable, or
            belongs to Python, NumPy or TensorFlow.

    Example:

    >>> from bt_keras.networks import importing
    >>> importing.find("keras.applications.MobileNet").__name__
    'MobileNet'
    """
    if name.isidentifier():
        raise UsageError(
            f"the network {name!r} is neither 'resnet' nor a function with its module, "
            f"{_near(name, keras.applications, _APPLICATIONS[0]) or _EXAMPLE}."
        )
    found = named(name, "network", f"a function with its module, {_EXAMPLE}")
    _check(name, found)
    return found


def named(name: str, kind: str, expected: str) -> Any:
    """Imports what a name with its module stands for.

    Modules are searched for in the current folder, too, after all other places.

    Args:
        name: String, such as `"keras.applications.MobileNet"`.
        kind: String, what it is, for messages, such as `"network"`.
        expected: String, what a name must be, for messages, such as `"a function with
            its module"`.

    Returns:
        The object.

    Raises:
        UsageError: If there is none, or importing it raises an error.
    """
    parts = name.split(".")
    if len(parts) == 1 or not all(part.isidentifier() for part in parts):
        raise UsageError(f"the {kind} {name!r} must be {expected}.")
    found: Any
    found, rest = _import_longest(f"{kind} {name!r}", parts)
    for index, part in enumerate(rest):
        if not hasattr(found, part):
            place = ".".join(parts[: len(parts) - len(rest) + index])
            near = _near(part, found, place)
            raise UsageError(
                f"the {kind} {name!r} does not exist: {place} has no {part!r}"
                f"{near and '; ' + near}."
            )
        found = getattr(found, part)
    return found


def is_application(function: Callable) -> bool:
    """Returns whether a function belongs to `keras.applications`."""
    module = getattr(function, "__module__", None) or ""
    return f"{module}.".startswith(tuple(f"{each}." for each in _APPLICATIONS))


def _import_longest(what: str, parts: list[str]) -> tuple[ModuleType, list[str]]:
    """Imports the longest module of a name; returns it and the other parts."""
    if (folder := os.getcwd()) not in sys.path:
        sys.path.append(folder)  # Programs that pip installs do not have it.
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        try:
            return importlib.import_module(module), parts[count:]
        except ModuleNotFoundError as error:
            # Otherwise the module exists, and one that it imports does not.
            if error.name and f"{module}.".startswith(f"{error.name}."):
                continue
            raise _import_error(module, error) from error
        # A user's code may raise anything.
        except Exception as error:
            raise _import_error(module, error) from error
        except SystemExit as error:
            raise UsageError(f"the module {module} calls sys.exit.") from error
    raise UsageError(
        f"the {what} cannot be imported: there is no module {parts[0]!r}, "
        "neither installed nor in the current folder."
    )


def _import_error(module: str, error: Exception) -> UsageError:
    return UsageError(
        f"the module {module} cannot be imported "
        f"({type(error).__name__}: {one_line(error).rstrip('.')})."
    )


def _check(name: str, found: Any) -> None:
    """Raises `UsageError` unless something can make a network."""
    is_code = inspect.isroutine(found) or inspect.isclass(found)
    module = getattr(found, "__module__", None) or "builtins"
    belongs = module.split(".")[0]
    is_other = is_code and belongs in _OTHERS and not is_application(found)
    is_model = not inspect.isclass(found) or issubclass(found, keras.Model)
    if not callable(found) or is_other or not is_model:
        raise UsageError(
            f"{name} is {checks.described(found)}, not a function that returns a Keras "
            f"model, {_EXAMPLE}."
        )


def _near(part: str, module: object, place: str) -> str:
    """Suggests names in a module that are similar to `part`."""
    values = ((each, getattr(module, each, None)) for each in dir(module))
    names = {n.lower(): n for n, v in values if callable(v) and not n.startswith("_")}
    near = difflib.get_close_matches(part.lower(), names, cutoff=0.7)
    if not near:
        return ""
    return f"perhaps {' or '.join(f'{place}.{names[each]}' for each in near)}"
