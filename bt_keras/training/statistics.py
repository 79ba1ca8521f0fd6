"""The mean and the standard deviation of a run's images, measured once."""

from __future__ import annotations

from ml_collections import ConfigDict

from bt_keras.data.from_config import open_source, statistics, with_statistics
from bt_keras.data.measure import measure
from bt_keras.data.pairs import check_batch
from bt_keras.workdir import Workdir


def with_measured(
    config: ConfigDict, workdir: Workdir, replicas: int = 1
) -> ConfigDict:
    """Returns the config, with the statistics of the images if they are measured.

    A run keeps those that it began with, which are in its config.json, so that
    evaluation and export use the same numbers.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: `Workdir` of the run.
        replicas: Integer > 0, the number of replicas that share a batch. Defaults to
            `1`.

    Returns:
        `ConfigDict`, a copy if something changes.

    Raises:
        UsageError: If the images do not fit the config, one cannot be read, or a band
            has only one value.
    """
    if config.data.statistics != "measured":
        return config
    if workdir.has_config():
        found = statistics(workdir.config())
    else:
        source = open_source(config)
        check_batch(source, config.batch_size, replicas)  # Measuring may take long.
        print(f"measuring mean and deviation of {source.num_images} images", flush=True)
        found = measure(source)
    return with_statistics(config, found)
