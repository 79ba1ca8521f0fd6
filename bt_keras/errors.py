"""The errors that the library raises on purpose."""


class UsageError(ValueError):
    """Bad input, with a message that says what is wrong, where, and what to do.

    The commands print the message as one line and exit with status 2. Python code
    can catch it as a `ValueError`, which is what Keras raises for bad arguments.
    """


class StoppedError(Exception):
    """A run ended early and can be gone on with; the message says why and how.

    The commands print the message as one line and exit with status 75.
    """
