"""Parts of a page that are missing, each with a sentence that says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bt_keras.errors import DAMAGE, UsageError, one_line


class Gaps:
    """Collects why parts of a page are missing.

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

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def attempt(
        self, sections: Sequence[str], make: Callable[[], Any], default: Any
    ) -> Any:
        """Returns what a function returns, or a default if its data are missing.

        Args:
            sections: Sequence of strings, keys of `SECTIONS` that need the value.
            make: Function without arguments.
            default: The value if the function raises an error of the data.
        """
        try:
            return make()
        except OSError as error:
            reason = error.strerror or one_line(error)
            name = f" ({error.filename})" if error.filename else ""
            reason += name
        except tf.errors.OpError as error:
            reason = one_line(error.message)
        except UsageError as error:
            reason = str(error)
        except DAMAGE as error:
            reason = one_line(error)
        for section in sections:
            self.reasons[section] = reason
        return default
