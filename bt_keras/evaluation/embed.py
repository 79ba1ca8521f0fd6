"""Compute the features of images, and write them with file names and labels."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from bt_keras.data import Source, faults
from bt_keras.data.source import NO_LABEL
from bt_keras.evaluation import feature_files
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.files import atomic
from bt_keras.networks import feature_dim
from bt_keras.progress_bar import track

_RECORDS = 4096  # that are read at once


def embed(
    target: EvaluationTarget, source: Source, path: str | os.PathLike
) -> feature_files.FeatureTable:
    """Writes the features of all images of a source, a block at a time.

    The features are those of `bt-keras evaluate`: of center crops, in evaluation mode.

    Args:
        target: `EvaluationTarget`.
        source: `Source`, with or without labels.
        path: String or path of a new file, see `feature_files.check_path`.

    Returns:
        `FeatureTable`, what was written.

    Raises:
        UsageError: If an image cannot be read, or as `feature_files.check_path`.
    """
    path = feature_files.check_path(path)
    frozen = target.frozen(source, source, needs_labels=False)
    with faults.named(source.find_fault):
        names, labels = _names_and_labels(source)
        table = feature_files.FeatureTable(
            dimension=feature_dim(target.backbone),
            file_names=names,
            labels=None if source.class_names is None else labels,
            class_names=source.class_names,
        )
        blocks = (features for features, _ in frozen.batches_of_features(source))
        with atomic.atomic_file(path, errors=feature_files.errors(path)) as temporary:
            feature_files.write(temporary, table, blocks)
    return table


def _names_and_labels(source):
    """Returns the names of all files and the labels, without decoding the images."""

    def describe(position, record):
        if source.file_name:
            name = source.file_name(record)
        else:
            name = tf.strings.as_string(position)
        label = NO_LABEL if source.class_names is None else record["label"]
        return name, tf.cast(label, tf.int64)

    names, labels = [], []
    batches = source.records().enumerate().map(describe).batch(_RECORDS)
    total = -(-source.num_images // _RECORDS)
    for batch in track(batches, "names of the files", total):
        names += [_text(name) for name in batch[0].numpy()]
        labels.append(batch[1].numpy())
    return names, np.concatenate(labels)


def _text(name):
    """Returns the name of a file as text that every file format can hold."""
    text = os.fsdecode(name).replace(os.sep, "/")
    return text.encode("utf-8", "backslashreplace").decode()
