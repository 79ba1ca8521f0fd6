"""`bt-keras pretrain` on two workers is one run, even when one stops or dies."""

import signal

import keras
import numpy as np
import pytest

from bt_keras import LARS, BarlowTwins, WarmupCosine
from bt_keras.checkpoint import store
from tests import pauses, processes, tiny

# Imported so that `load_model` finds them.
REGISTERED = (BarlowTwins, LARS, WarmupCosine)
EPOCHS, STEPS_PER_EPOCH = 3, 10

pytestmark = pytest.mark.slow  # Each test starts several processes.


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tiny.write_images(tmp_path_factory.mktemp("images"), per_class=40)
    return pauses.add_hooks(tiny.write_config(folder / "tiny.py", folder))


def arguments(recipe, workdir):
    return [
        *("-m", "bt_keras.cli", "pretrain", f"--config={recipe}"),
        f"--workdir={workdir}",
        f"--config.epochs={EPOCHS}",
        "--config.checkpoint.every_steps=2",
        "--config.steps_per_execution=2",
        "--config.data.validation_split=test",
    ]


def start_pair(recipe, workdir, step, paused):
    """Starts two workers and waits until the one with the index `paused` is there."""
    logs = logs_of(workdir)
    environment = {"PAUSE_AT": f"step {step}"}
    own = {paused: {"environment": environment}}
    pair = processes.start_workers(arguments(recipe, workdir), logs, own)
    pauses.wait(pair[paused], logs[paused])
    return pair


def logs_of(workdir):
    return [workdir.with_suffix(f".{index}.log") for index in range(2)]


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory):
    """The run of one device."""
    workdir = tmp_path_factory.mktemp("runs") / "alone"
    log = workdir.with_suffix(".log")
    processes.finish([processes.start(arguments(recipe, workdir), log)], [log])
    return workdir


def assert_same_run(workdir, alone):
    """Weights, statistics, optimizer and logs are those of one device."""
    states = []
    for run in (workdir, alone):
        progress, path = store.find_newest(run / "checkpoints")
        assert progress.step == progress.batch == EPOCHS * STEPS_PER_EPOCH
        model = keras.models.load_model(path)
        states.append(
            [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
        )
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    logs = [
        np.genfromtxt(run / "log.csv", delimiter=",", skip_header=1)
        for run in (workdir, alone)
    ]
    assert logs[0].shape == (EPOCHS, 1 + 3 + 3)
    np.testing.assert_allclose(*logs, rtol=1e-4)


def assert_one_dies_and_the_other_says_so(recipe, workdir, step, victim):
    pair = start_pair(recipe, workdir, step, victim)
    pair[victim].kill()
    survivor = logs_of(workdir)[1 - victim]
    assert pair[1 - victim].wait() == 75, survivor.read_text()
    line = survivor.read_text().splitlines()[-1]
    assert f"worker {victim} of the 2 stopped responding" in line


def assert_a_signal_to_one_stops_both(recipe, workdir, step):
    pair = start_pair(recipe, workdir, step, paused=1)
    pauses.send(pair[1], signal.SIGTERM)
    assert [worker.wait() for worker in pair] == [75, 75]
    chief, other = (log.read_text().splitlines()[-1] for log in logs_of(workdir))
    assert "stopped by a signal to another worker" in chief
    assert "stopped by SIGTERM" in other
    progress, _ = store.find_newest(workdir / "checkpoints")
    assert progress.step == step
    for line in (chief, other):
        assert f"after step {progress.step} " in line
    # Only the chief shows its progress.
    assert "Epoch" in logs_of(workdir)[0].read_text()
    assert "Epoch" not in logs_of(workdir)[1].read_text()


def test_stopped_or_killed_it_equals_one_device(recipe, alone, tmp_path):
    workdir = tmp_path / "pair"
    assert_one_dies_and_the_other_says_so(recipe, workdir, step=4, victim=1)
    assert_one_dies_and_the_other_says_so(recipe, workdir, step=12, victim=0)
    assert_a_signal_to_one_stops_both(recipe, workdir, step=18)
    # One device resumes it as well.
    log = workdir.with_suffix(".log")
    processes.finish([processes.start(arguments(recipe, workdir), log)], [log])
    assert_same_run(workdir, alone)
    assert list((workdir / "tensorboard" / "train").iterdir())


def test_an_error_of_one_worker_at_the_start_stops_both(recipe, tmp_path):
    """The second worker finds the images in its folder, the first does not."""
    logs = [tmp_path / f"{index}.log" for index in range(2)]
    folders = {0: {"cwd": tmp_path}, 1: {"cwd": recipe.parent.parent}}
    source = f"--config.data.source={recipe.parent.name}"
    flags = [*arguments(recipe, tmp_path / "run"), source]
    pair = processes.start_workers(flags, logs, folders)
    assert [worker.wait() for worker in pair] == [2, 2]
    first, second = (log.read_text().splitlines()[-1] for log in logs)
    assert "There is no source of images" in first
    assert "another worker failed; see its log" in second
    assert not (tmp_path / "run").exists()


def test_workers_with_different_configs_are_refused(tmp_path):
    logs = [tmp_path / f"{index}.log" for index in range(2)]
    # A config of the project, which imports no TensorFlow: the line stands alone.
    flags = arguments("demo", tmp_path / "run")
    own = {i: {"arguments": [f"--config.lambd={0.1 * (i + 1)}"]} for i in range(2)}
    pair = processes.start_workers(flags, logs, own)
    assert [worker.wait() for worker in pair] == [2, 2]
    for log in logs:
        (line,) = log.read_text().splitlines()
        assert "config.lambd is 0.2, not 0.1" in line
    assert not (tmp_path / "run").exists()
