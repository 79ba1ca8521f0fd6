"""The folder `features` of a run, from `bt-keras evaluate`."""

import json
import shutil
import signal

import numpy as np
import pytest

from bt_keras.cli import main
from tests import processes
from tests.cli.commands import one_error_line, rows

# Syncs after every batch, and kills its process after the second one.
KILLED = """
import os, signal, sys
from bt_keras.evaluation import feature_store
from bt_keras.cli.main import main

sync, syncs = feature_store.StoredFeatures._sync, []

def sync_or_die(self, writers):
    sync(self, writers)
    syncs.append(writers)
    if len(syncs) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

feature_store._SYNC_INTERVAL = 0.0
feature_store.StoredFeatures._sync = sync_or_die
sys.exit(main(sys.argv[1:]))
"""


def evaluation_config(workdir, **fields):
    config = json.loads((workdir / "config.json").read_text())
    config["evaluation"] |= fields
    (workdir / "config.json").write_text(json.dumps(config))


def stored(workdir):
    """Returns the stored arrays by the names of the splits."""
    return {
        folder.name.split("-")[0]: np.load(folder / "features.npy")
        for folder in (workdir / "features").iterdir()
        if folder.is_dir()
    }


def test_a_second_evaluation_reads_the_features(copied, capsys):
    command = ["evaluate", f"--workdir={copied}"]
    assert main(command) == 0
    assert capsys.readouterr().out.count(" x 12, 0 MB in ") == 2
    assert main([*command, "--remeasure"]) == 0
    assert capsys.readouterr().out.count(" x 12, read from ") == 2
    results = rows(copied / "results.csv")
    assert results[: len(results) // 2] == results[len(results) // 2 :]
    assert {name: a.shape for name, a in stored(copied).items()} == {
        "train": (18, 12),
        "test": (18, 12),
    }


def test_another_checkpoint_has_its_own_features(copied, capsys):
    command = ["evaluate", f"--workdir={copied}"]
    assert main(command) == 0
    newest = stored(copied)
    capsys.readouterr()
    assert main([*command, "--checkpoint=epoch-0001"]) == 0
    assert capsys.readouterr().out.count("of features of another network") == 2
    for name, features in stored(copied).items():
        assert (features != newest[name]).any()


def test_float16(copied):
    command = ["evaluate", f"--workdir={copied}"]
    assert main(command) == 0
    exact = stored(copied)
    evaluation_config(copied, feature_dtype="float16")
    assert main(command) == 0
    half = [np.load(path) for path in copied.glob("features/*/features.npy")]
    assert sorted(str(a.dtype) for a in half) == ["float16"] * 2 + ["float32"] * 2
    for features in exact.values():
        assert any((features.astype("f2") == a).all() for a in half)


def test_other_dtypes_are_refused(copied, capsys):
    evaluation_config(copied, feature_dtype="int8")
    command = ["evaluate", f"--workdir={copied}"]
    one_error_line(capsys, command, "config.evaluation.feature_dtype is 'int8'")


def test_replicas_share_the_extraction(copied, capsys):
    command = ["evaluate", f"--workdir={copied}"]
    assert main([*command, "--strategy=one"]) == 0
    one = stored(copied)
    shutil.rmtree(copied / "features")
    assert main([*command, "--strategy=mirrored", "--remeasure"]) == 0
    for name, features in stored(copied).items():
        np.testing.assert_allclose(features, one[name], rtol=1e-4, atol=1e-6)
    one_error_line(capsys, [*command, "--strategy=multi_worker"], "multi_worker", "one")


@pytest.mark.slow
def test_a_killed_evaluation_continues(copied, tmp_path):
    evaluation_config(copied, batch_size=4)
    other = shutil.copytree(copied, tmp_path / "other")
    log = tmp_path / "log"
    command = ["evaluate", f"--workdir={copied}"]
    killed = processes.start(["-c", KILLED, *command], log)
    assert killed.wait() == -signal.SIGKILL, log.read_text()
    assert not (copied / "results.csv").exists()
    [state] = copied.glob("features/train-*/store.json")
    assert json.loads(state.read_text())["rows"] == 8
    for workdir in (copied, other):
        command = ["-m", "bt_keras.cli", "evaluate", f"--workdir={workdir}"]
        processes.finish([processes.start(command, log)], [log])
        continued = "'train': continued after 8 of 18 images" in log.read_text()
        assert continued == (workdir == copied)
    for name, features in stored(other).items():
        np.testing.assert_array_equal(stored(copied)[name], features)
    assert rows(copied / "results.csv") == rows(other / "results.csv")
