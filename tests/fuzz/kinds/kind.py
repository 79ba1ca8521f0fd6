"""What all kinds of files have."""

from bt_keras.errors import UsageError
from tests.fuzz import mutations

# Of JSON files, whose values matter more than their bytes.
JSON_CHANGES = (mutations.mutate, mutations.mutate_json, mutations.mutate_json)


class Kind:
    """One kind of files.

    Attributes:
        suffix: str, the end of the file's name.
        changes: tuple of functions of `mutations`, of which each file gets one.
        errors: tuple of the exceptions that a reader may raise.
        count: int, how many files are read.
    """

    count = 2500
    suffix = ""
    changes = (mutations.mutate,)
    errors = (UsageError,)

    def samples(self, folder):
        """Returns valid files as a list of bytes; `folder` is an empty folder."""
        raise NotImplementedError

    def read(self, path):
        """Reads a file with every function of the library that does."""
        raise NotImplementedError
