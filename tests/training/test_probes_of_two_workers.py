"""The callbacks of `config.callbacks` on two workers: the curves of one device."""

import csv
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.checkpoint import store
from tests import processes, tiny

EPOCHS, BATCH, IMAGES = 2, 8, 32
# Of each worker's machine, not of the run.
SPEED = {"images_per_second", "input_share"}
# Shares of images: one near the border between two classes may change sides.
TOP1 = {"probe_top1": 2 * IMAGES, "val_probe_top1": 2 * IMAGES, "knn_top1": IMAGES}
MONITOR = {
    "feature_std",
    "dead_features",
    "diagonal",
    "off_diagonal",
    "loss_above_floor",
    "feature_rank",
    "embedding_rank",
    "gradient_norm",
    "weight_norm",
    "trust_ratio_min",
    "trust_ratio_max",
}

pytestmark = pytest.mark.slow  # Starts three processes.


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """`arguments(workdir)` of a run with all callbacks, four steps an epoch."""
    folder = tiny.write_images(tmp_path_factory.mktemp("images"), IMAGES // 2)
    recipe = tiny.write_config(folder / "tiny.py", folder)
    return lambda workdir: [
        *("-m", "bt_keras.cli", "pretrain"),
        *(f"--config={recipe}", f"--workdir={workdir}"),
        f"--config.epochs={EPOCHS}",
        "--config.data.validation_split=test",
        "--config.callbacks.linear_probe=True",
        "--config.callbacks.knn_every=1",
        "--config.callbacks.monitor_every_steps=2",
        # A batch of 8 is too small for both: a warning.
        "--config.projector=(8, 16)",
        "--config.lambd=1.0",
    ]


@pytest.fixture(scope="module")
def alone(arguments, tmp_path_factory):
    """The workdir of one device."""
    workdir = tmp_path_factory.mktemp("runs") / "alone"
    log = workdir.with_suffix(".log")
    processes.finish([processes.start(arguments(workdir), log)], [log])
    return workdir


@pytest.fixture(scope="module")
def pair(arguments, tmp_path_factory):
    """The workdir of two workers, their processes and their logs."""
    workdir = tmp_path_factory.mktemp("runs") / "pair"
    logs = [workdir.with_suffix(f".{index}.log") for index in range(2)]
    workers = processes.start_workers(arguments(workdir), logs)
    processes.finish(workers, logs)
    return workdir, workers, [log.read_text() for log in logs]


def rows(workdir):
    with open(workdir / "log.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_curves(workdir, alone):
    """Values of the last reading are as close as the logs of the runs' loss.

    The workers add in another order than one device, in float32: 1e-7 a step, which the
    weights amplify. The norms of gradients have no further error: a variable of at most
    2,048 numbers is its own sketch. A trust ratio divides by the norm of a gradient
    that may be small next to its terms.
    """
    ours, theirs = rows(workdir), rows(alone)
    assert len(ours) == len(theirs) == EPOCHS
    for row, expected in zip(ours, theirs, strict=True):
        assert row.keys() == expected.keys() >= MONITOR | SPEED | TOP1.keys()
        for name in row.keys() - SPEED:
            near = {"rtol": 2e-3 if "trust" in name else 5e-4, "atol": 1e-6}
            if name in TOP1:
                near = {"rtol": 0, "atol": 1.01 / TOP1[name]}
            np.testing.assert_allclose(
                float(row[name]), float(expected[name]), **near, err_msg=name
            )
        assert float(row["images_per_second"]) > 0
        assert 0 <= float(row["input_share"]) <= 1


def test_two_workers_have_the_curves_of_one_device(pair, alone):
    assert_same_curves(pair[0], alone)


def events(folder):
    for path in folder.glob("events*"):
        yield from tf.compat.v1.train.summary_iterator(str(path))


def scalars(folder):
    """Returns the numbers of a log of TensorBoard by step and tag."""
    return {
        (event.step, value.tag): tf.make_ndarray(value.tensor).item()
        for event in events(folder)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars"
    }


def test_every_reading_is_that_of_one_device(pair, alone):
    ours, theirs = (
        scalars(run / "tensorboard" / "monitor") for run in (pair[0], alone)
    )
    # The first step has no speed yet.
    assert {step for step, _ in theirs} == {1, 3, 5, 7}
    assert ours.keys() == theirs.keys()
    for (step, name), value in theirs.items():
        if name in MONITOR | {"loss"}:
            near = 2e-3 if "trust" in name else 5e-4
            np.testing.assert_allclose(
                ours[step, name], value, near, 1e-6, err_msg=f"{name}, step {step}"
            )


def test_only_the_chief_writes_for_tensorboard(pair):
    workdir, (chief, _), _ = pair
    files = list((workdir / "tensorboard").rglob("*"))
    logs = [path for path in files if path.is_file()]
    assert {path.parent.name for path in logs} >= {"train", "validation", "monitor"}
    # events.out.tfevents.TIME.HOST.PROCESS.NUMBER.v2
    assert {path.name.split(".")[-3] for path in logs} == {str(chief.pid)}


def test_pictures_are_those_of_the_chief(pair):
    tags = {
        value.tag
        for event in events(pair[0] / "tensorboard" / "monitor")
        for value in event.summary.value
    }
    assert {"cross_correlation", "views", "features", "embeddings"} <= tags


def test_readings_trace_nothing_anew(pair):
    """Collectives outside of a graph would, and TensorFlow warns of them."""
    for log in pair[2]:
        assert "gathered_values" not in log
        assert "significant overhead" not in log


def test_only_the_chief_warns(pair):
    first, second = pair[2]
    assert first.count("is too small for embeddings of 16 dimensions") == 1
    assert "is too small" not in second


def test_one_device_resumes_to_the_same_curves(pair, alone, arguments, tmp_path):
    workdir, log = tmp_path / "run", tmp_path / "run.log"
    shutil.copytree(pair[0], workdir)
    _, newest = store.find_newest(workdir / "checkpoints")
    newest.unlink()
    processes.finish([processes.start(arguments(workdir), log)], [log])
    assert "which starts anew" not in log.read_text()
    assert_same_curves(workdir, alone)
