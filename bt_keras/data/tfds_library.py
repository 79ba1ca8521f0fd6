"""Imports TensorFlow Datasets, which takes seconds, where it is first needed."""

from __future__ import annotations

import importlib
import logging
from types import ModuleType

from bt_keras.errors import UsageError, one_line


def load() -> ModuleType:
    """Returns the module `tensorflow_datasets`.

    Raises:
        UsageError: If it cannot be imported with the versions that are installed.
    """
    # Where an import of its own fails, tensorflow-datasets logs the traceback and goes
    # on as a module without contents.
    previous = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        import tensorflow_datasets as tfds

        if not hasattr(tfds, "builder_from_directory"):
            importlib.import_module("tensorflow_datasets.core.dataset_builder")
            raise ImportError("it has no contents")
    except Exception as error:  # Whatever a dependency raises when it is imported.
        raise UsageError(
            "tensorflow-datasets cannot be imported with the installed versions: "
            f"reinstall the requirements of bt-keras ({one_line(error)})"
        ) from error
    finally:
        logging.disable(previous)
    return tfds
