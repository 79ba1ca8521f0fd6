"""Config files: loading, checking, comparing, and their form as JSON."""

from bt_keras.config.loading import (
    check,
    default,
    differences,
    fields,
    from_json,
    load,
    naming,
    to_json,
)

__all__ = [
    "check",
    "default",
    "differences",
    "fields",
    "from_json",
    "load",
    "naming",
    "to_json",
]
