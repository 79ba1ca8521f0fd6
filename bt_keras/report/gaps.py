"""Parts of a page that are missing, each with a sentence that says why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import tensorflow as tf

from bt_keras.errors import DAMAGE, UsageError, one_line

_LEFT_OUT = (
    "left out (--nocompute, or the argument compute): it is computed with the network."
)


class Gaps:
    """Collects why parts of a page are missing.

    Args:
        left_out: Collection of strings, keys of `SECTIONS` that are not wanted.
            Defaults to `()`.

    Attributes:
        reasons: Dict from keys of `SECTIONS` to sentences.

    Example:

    >>> from bt_keras.report.gaps import Gaps
    >>> gaps = Gaps()
    >>> gaps.attempt(["module"], lambda: int("x"), default=0)
    0
    >>> gaps.reasons
    {'module': "invalid literal for int() with base 10: 'x'"}
    """

    def __init__(self, left_out: Collection[str] = ()) -> None:
        self._left_out = left_out
        self.reasons: dict[str, str] = dict.fromkeys(left_out, _LEFT_OUT)

    def attempt(
        self,
        sections: Sequence[str],
        make: Callable[[], Any],
        default: Any,
        required: bool = False,
    ) -> Any:
        """Returns what a function returns, or a default if its data are missing.

        The function is not called if none of the sections is wanted.

        Args:
            sections: Sequence of strings, keys of `SECTIONS` that need the value.
            make: Function without arguments.
            default: The value if the function raises an error of the data.
            required: Boolean, whether a `UsageError` is raised instead. Defaults to
                `False`.
        """
        if all(section in self._left_out for section in sections):
            return default
        try:
            return make()
        except OSError as error:
            reason = error.strerror or one_line(error)
            name = f" ({error.filename})" if error.filename else ""
            reason += name
        except tf.errors.OpError as error:
            reason = one_line(error.message)
        except UsageError as error:
            if required:
                raise
            reason = str(error)
        except DAMAGE as error:
            reason = one_line(error)
        for section in sections:
            self.reasons[section] = reason
        return default
