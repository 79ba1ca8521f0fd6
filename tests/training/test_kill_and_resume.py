"""Runs that are killed, stopped or starved, as real processes: they end as if not."""

import concurrent.futures
import random
import resource
import shutil
import signal
import time

import keras
import numpy as np
import pytest

from bt_keras import LARS, BarlowTwins, WarmupCosine
from bt_keras.checkpoint import store
from tests import processes, tiny

EPOCHS = 8
STEPS_PER_EPOCH = 10
# For `load_model` to know them.
REGISTERED = (BarlowTwins, LARS, WarmupCosine)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tiny.write_images(tmp_path_factory.mktemp("images"), per_class=40)
    return tiny.write_config(folder / "tiny.py", folder)


def pretrain(recipe, workdir, *flags, **environment):
    """Starts `bt-keras pretrain`; its output goes to a file beside the workdir."""
    arguments = ["-m", "bt_keras.cli", "pretrain", f"--config={recipe}"]
    arguments += [f"--workdir={workdir}", f"--config.epochs={EPOCHS}"]
    arguments += ["--config.checkpoint.every_steps=2", "--config.deterministic=True"]
    return processes.start([*arguments, *flags], log_of(workdir), environment)


def log_of(workdir):
    return workdir.with_suffix(".log")


@pytest.fixture(scope="module")
def uninterrupted(recipe, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    processes.finish([pretrain(recipe, workdir)], [log_of(workdir)])
    return workdir


def state(workdir):
    """Weights, statistics and the optimizer's variables of a finished run."""
    progress, path = store.newest(workdir / "checkpoints")
    assert progress.step == progress.batch == EPOCHS * STEPS_PER_EPOCH
    model = keras.models.load_model(path)
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def assert_ended_alike(workdir, uninterrupted):
    for ours, theirs in zip(state(workdir), state(uninterrupted), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # The epochs' means too, of which some were gathered in several processes.
    logs = [(run / "log.csv").read_text() for run in (workdir, uninterrupted)]
    assert logs[0] == logs[1]


def wait_for(process, workdir, condition):
    """Waits until the condition holds or the process has ended."""
    while process.poll() is None:
        if condition():
            return
        time.sleep(0.001)
    assert process.returncode == 0, log_of(workdir).read_text()


def wait_for_a_checkpoint(process, workdir):
    """Waits until there is one that is not there now."""
    before = checkpoints(workdir)
    wait_for(process, workdir, lambda: checkpoints(workdir) - before)


def checkpoints(workdir):
    return {path.name for path in (workdir / "checkpoints").glob("epoch-*.keras")}


def kill_again_and_again(recipe, workdir, while_writing):
    """Kills a run five times, then lets it end; returns how often a write was cut."""
    moments = random.Random(while_writing)
    half_written = workdir / "checkpoints" / store.UNFINISHED
    cut = 0
    for _ in range(5):
        process = pretrain(recipe, workdir)
        if while_writing:
            wait_for_a_checkpoint(process, workdir)
            wait_for(process, workdir, half_written.exists)
            time.sleep(moments.uniform(0, 0.02))
        else:  # While it starts, too.
            time.sleep(moments.uniform(0, 20))
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)
        cut += half_written.exists()
    processes.finish([pretrain(recipe, workdir)], [log_of(workdir)])
    return cut


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    recipe, uninterrupted, tmp_path
):
    """Ten times: at random moments, and while a checkpoint is being written."""
    runs = {tmp_path / "anywhere": False, tmp_path / "writing": True}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        cut = pool.map(kill_again_and_again, [recipe] * 2, runs.keys(), runs.values())
        assert list(cut)[1] >= 1
    for workdir in runs:
        assert_ended_alike(workdir, uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_it_after_a_step_with_a_checkpoint(
    recipe, uninterrupted, tmp_path, number
):
    workdir = tmp_path / "stopped"
    never = "--config.checkpoint.every_steps=0"
    process = pretrain(recipe, workdir, never)
    log = workdir / "log.csv"
    wait_for(process, workdir, lambda: log.exists() and log.read_text().count("\n") > 1)
    process.send_signal(number)
    assert process.wait() == 75, log_of(workdir).read_text()
    last = log_of(workdir).read_text().splitlines()[-1]
    assert f"stopped by {number.name} after step" in last
    progress, path = store.newest(workdir / "checkpoints")
    assert path.name in last
    assert 0 < progress.step < EPOCHS * STEPS_PER_EPOCH
    processes.finish([pretrain(recipe, workdir, never)], [log_of(workdir)])
    assert_ended_alike(workdir, uninterrupted)


def test_a_damaged_newest_checkpoint_is_set_aside(recipe, uninterrupted, tmp_path):
    workdir = shutil.copytree(uninterrupted, tmp_path / "damaged")
    _, newest = store.newest(workdir / "checkpoints")
    newest.write_bytes(newest.read_bytes()[:-1000])
    processes.finish([pretrain(recipe, workdir)], [log_of(workdir)])
    warnings = [
        line for line in log_of(workdir).read_text().splitlines() if newest.name in line
    ]
    assert "damaged" in warnings[0]
    assert newest.with_name(newest.name + ".damaged").exists()
    assert_ended_alike(workdir, uninterrupted)


def test_a_disk_that_is_full_stops_it_with_the_last_checkpoint_whole(
    recipe, uninterrupted, tmp_path
):
    """A file may not grow beyond half a checkpoint: the first is there, no second."""
    workdir = shutil.copytree(uninterrupted, tmp_path / "full")
    _, newest = store.newest(workdir / "checkpoints")
    newest.unlink()
    progress, before = store.newest(workdir / "checkpoints")
    content = before.read_bytes()
    process = pretrain(recipe, workdir)
    limit = len(content) // 2
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    assert process.wait() == 2, log_of(workdir).read_text()
    last = log_of(workdir).read_text().splitlines()[-1]
    assert last.startswith("bt-keras: error: ")
    assert ".keras cannot be written" in last
    assert "free some space" in last
    assert store.newest(workdir / "checkpoints") == (progress, before)
    assert before.read_bytes() == content
    assert not (workdir / "checkpoints" / store.UNFINISHED).parent.exists()


def test_a_second_process_in_the_same_workdir_is_refused(
    recipe, uninterrupted, tmp_path
):
    workdir = tmp_path / "shared"
    first = pretrain(recipe, workdir)
    wait_for_a_checkpoint(first, workdir)
    log = tmp_path / "second.log"
    arguments = ["-m", "bt_keras.cli", "pretrain", f"--workdir={workdir}"]
    second = processes.start(arguments, log)
    first.send_signal(signal.SIGSTOP)
    try:
        assert second.wait() == 2
    finally:
        first.send_signal(signal.SIGCONT)
    assert "another process trains there" in log.read_text()
    processes.finish([first], [log_of(workdir)])
    assert_ended_alike(workdir, uninterrupted)
