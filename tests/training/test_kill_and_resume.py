"""Runs that are killed, stopped, or lack disk space, as real processes.

Each ends with the bits of a run without interruption.
"""

import random
import resource
import shutil
import signal

import keras
import numpy as np
import pytest

from bt_keras import LARS, BarlowTwins, WarmupCosine
from bt_keras.checkpoint import store
from tests import pauses, processes, tiny

EPOCHS = 4
STEPS_PER_EPOCH = 10
STEPS = EPOCHS * STEPS_PER_EPOCH
# Imported so that `load_model` finds them.
REGISTERED = (BarlowTwins, LARS, WarmupCosine)

pytestmark = pytest.mark.slow  # Each test starts several processes.


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tiny.write_images(tmp_path_factory.mktemp("images"), per_class=40)
    return pauses.add_hooks(tiny.write_config(folder / "tiny.py", folder))


def pretrain(recipe, workdir, *options, pause_at=None):
    """Starts `bt-keras pretrain`, which logs to a file beside the workdir."""
    options = options or ("--config.checkpoint.every_steps=2",)
    arguments = ["-m", "bt_keras.cli", "pretrain", f"--config={recipe}"]
    arguments += [f"--workdir={workdir}", f"--config.epochs={EPOCHS}"]
    arguments += [*options, "--config.deterministic=True"]
    environment = {"PAUSE_AT": pause_at} if pause_at else {}
    process = processes.start(arguments, log_of(workdir), environment)
    if pause_at:
        pauses.wait(process, log_of(workdir))
    return process


def log_of(workdir):
    return workdir.with_suffix(".log")


def finish(recipe, workdir, *options):
    processes.finish([pretrain(recipe, workdir, *options)], [log_of(workdir)])


@pytest.fixture(scope="module")
def uninterrupted(recipe, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    finish(recipe, workdir)
    return workdir


def state(workdir):
    """Weights, statistics and the optimizer's variables of a finished run."""
    progress, path = store.find_newest(workdir / "checkpoints")
    assert progress.step == progress.batch == STEPS
    model = keras.models.load_model(path)
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def assert_same_end(workdir, uninterrupted):
    for ours, theirs in zip(state(workdir), state(uninterrupted), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # The epochs' means too, some of which several processes computed.
    logs = [(run / "log.csv").read_text() for run in (workdir, uninterrupted)]
    assert logs[0] == logs[1]


def random_moments():
    """Five moments to kill a run at: before its first step, and at four random steps.

    At every other of these a checkpoint is half written.
    """
    steps = sorted(random.Random(0).sample(range(2, STEPS - 1), 4))
    events = ("step", "write") * 2
    return ["begin 0", *map("{} {}".format, events, steps)]


def test_a_killed_run_resumes_to_identical_weights(recipe, uninterrupted, tmp_path):
    workdir = tmp_path / "killed"
    half_written = workdir / "checkpoints" / store.UNFINISHED
    for moment in random_moments():
        process = pretrain(recipe, workdir, pause_at=moment)
        assert half_written.exists() == moment.startswith("write")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    finish(recipe, workdir)
    assert_same_end(workdir, uninterrupted)


def test_a_killed_run_with_probes_has_the_same_curves(recipe, tmp_path):
    probes = ("linear_probe=True", "knn_every=2")
    options = [f"--config.callbacks.{field}" for field in probes]
    options += ["--config.checkpoint.every_steps=2"]
    finish(recipe, tmp_path / "uninterrupted", *options)
    process = pretrain(recipe, tmp_path / "killed", *options, pause_at="step 13")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    finish(recipe, tmp_path / "killed", *options)
    assert_same_end(tmp_path / "killed", tmp_path / "uninterrupted")
    header = (tmp_path / "killed" / "log.csv").read_text().splitlines()[0]
    assert {"probe_top1", "knn_top1"} <= set(header.split(","))


def test_a_signal_stops_the_run_after_a_checkpoint(recipe, uninterrupted, tmp_path):
    workdir = tmp_path / "stopped"
    never = "--config.checkpoint.every_steps=0"
    for number, step in ((signal.SIGUSR1, 7), (signal.SIGHUP, 23)):
        process = pretrain(recipe, workdir, never, pause_at=f"step {step}")
        pauses.send(process, number)
        assert process.wait() == 75, log_of(workdir).read_text()
        last = log_of(workdir).read_text().splitlines()[-1]
        assert f"stopped by {number.name} after step {step} " in last
        progress, path = store.find_newest(workdir / "checkpoints")
        assert path.name in last
        assert progress.step == step
    finish(recipe, workdir, never)
    assert_same_end(workdir, uninterrupted)


def test_a_damaged_newest_checkpoint_is_renamed(recipe, uninterrupted, tmp_path):
    workdir = shutil.copytree(uninterrupted, tmp_path / "damaged")
    _, newest = store.find_newest(workdir / "checkpoints")
    newest.write_bytes(newest.read_bytes()[:-1000])
    finish(recipe, workdir)
    warnings = [
        line for line in log_of(workdir).read_text().splitlines() if newest.name in line
    ]
    assert "damaged" in warnings[0]
    assert newest.with_name(newest.name + ".damaged").exists()
    assert_same_end(workdir, uninterrupted)


def test_a_full_disk_stops_the_run_and_keeps_the_last_checkpoint(
    recipe, uninterrupted, tmp_path
):
    """No file may grow beyond half a checkpoint, so that no new one can be written."""
    workdir = shutil.copytree(uninterrupted, tmp_path / "full")
    _, newest = store.find_newest(workdir / "checkpoints")
    newest.unlink()
    progress, before = store.find_newest(workdir / "checkpoints")
    content = before.read_bytes()
    process = pretrain(recipe, workdir)
    limit = len(content) // 2
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    assert process.wait() == 2, log_of(workdir).read_text()
    last = log_of(workdir).read_text().splitlines()[-1]
    assert last.startswith("bt-keras: error: ")
    assert ".keras cannot be written" in last
    assert "free some space" in last
    assert store.find_newest(workdir / "checkpoints") == (progress, before)
    assert before.read_bytes() == content
    assert not (workdir / "checkpoints" / store.UNFINISHED).parent.exists()


def test_a_second_process_in_the_same_workdir_is_an_error(
    recipe, uninterrupted, tmp_path
):
    workdir = tmp_path / "shared"
    first = pretrain(recipe, workdir, pause_at="step 5")
    log = tmp_path / "second.log"
    arguments = ["-m", "bt_keras.cli", "pretrain", f"--config={recipe}"]
    arguments += [f"--workdir={workdir}", f"--config.epochs={EPOCHS}"]
    try:
        second = processes.start([*arguments, "--config.deterministic=True"], log)
        assert second.wait() == 2
    finally:
        first.send_signal(signal.SIGCONT)
    assert "another process trains there" in log.read_text()
    processes.finish([first], [log_of(workdir)])
    assert_same_end(workdir, uninterrupted)
