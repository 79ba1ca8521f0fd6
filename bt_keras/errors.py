"""The one error the library raises for what its user can put right."""


class UsageError(ValueError):
    """Bad input, with a message that says what is wrong, where, and what to do.

    The commands print the message as one line and exit with status 2. Python code
    can catch it as a `ValueError`, which is what Keras raises for bad arguments.
    """
