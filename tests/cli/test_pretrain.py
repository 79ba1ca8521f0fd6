"""`bt-keras pretrain`, called in this process."""

import json
import shutil

import keras
import numpy as np
import tensorflow as tf

from bt_keras.checkpoint import save_restore
from bt_keras.cli import main
from tests import tiny
from tests.cli.commands import one_error_line, rows


def weights(workdir, epoch):
    model = keras.models.load_model(
        workdir / "checkpoints" / f"epoch-{epoch:04d}.keras"
    )
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def test_pretrain_writes_config_logs_checkpoints_and_a_picture(run):
    config = json.loads((run / "config.json").read_text())
    assert config["projector"] == [8, 8]
    log = rows(run / "log.csv")
    assert [row["epoch"] for row in log] == ["0", "1"]
    assert set(log[0]) >= {"epoch", "loss", "invariance", "redundancy"}
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == [
        "epoch-0001.keras",
        "epoch-0002.keras",
    ]
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))
    picture = tf.io.decode_png((run / "views.png").read_bytes())
    assert picture.shape == (2 * 8, 8 * 8, 3)
    # The images are noise: neither black nor white.
    assert 20 < np.mean(picture) < 235


def test_a_dry_run_writes_the_picture_of_the_run_only(run, recipe, tmp_path, capsys):
    workdir = tmp_path / "new"
    flags = [f"--config={recipe}", f"--workdir={workdir}", "--dry_run"]
    assert main(["pretrain", *flags]) == 0
    assert [path.name for path in workdir.iterdir()] == ["views.png"]
    picture = (workdir / "views.png").read_bytes()
    assert picture == (run / "views.png").read_bytes()
    out = capsys.readouterr().out
    for part in ("18 images of 2 classes", "2 epochs of 2 steps", "8 x 8 pixels"):
        assert part in out
    backbone = save_restore.load(run / "checkpoints" / "epoch-0001.keras").backbone
    assert f"backbone: {backbone.count_params():,} weights" in out


def test_a_dry_run_with_a_fault_leaves_no_workdir(images, tmp_path, capsys):
    copied = shutil.copytree(images, tmp_path / "images")
    (copied / "train" / "dark" / "4.png").write_bytes(b"damaged")
    recipe = tiny.write_config(tmp_path / "tiny.py", copied)
    flags = [f"--config={recipe}", f"--workdir={tmp_path / 'new'}", "--dry_run"]
    one_error_line(capsys, ["pretrain", *flags], "4.png")
    assert not (tmp_path / "new").exists()


def test_an_interrupted_run_resumes_with_the_same_weights(run, copied, capsys):
    (copied / "checkpoints" / "epoch-0002.keras").unlink()
    assert main(["pretrain", f"--workdir={copied}"]) == 0
    assert [row["epoch"] for row in rows(copied / "log.csv")] == ["0", "1"]
    assert "after step 2 (1 epochs)" in capsys.readouterr().out
    for ours, theirs in zip(weights(copied, 2), weights(run, 2), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_finished_run_is_not_trained_again(copied, recipe):
    before = (copied / "log.csv").read_text()
    assert main(["pretrain", f"--config={recipe}", f"--workdir={copied}"]) == 0
    assert (copied / "log.csv").read_text() == before


def test_the_same_config_gives_the_same_weights(run, recipe, tmp_path):
    again = tmp_path / "again"
    assert main(["pretrain", f"--config={recipe}", f"--workdir={again}"]) == 0
    for ours, theirs in zip(weights(again, 2), weights(run, 2), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_steps_in_one_execution_are_the_same_steps(run, recipe, tmp_path):
    workdir, flag = tmp_path / "run", "--config.steps_per_execution=2"
    arguments = [f"--config={recipe}", f"--workdir={workdir}", flag]
    assert main(["pretrain", *arguments]) == 0
    saved = workdir / "checkpoints" / "epoch-0002.keras"
    assert keras.models.load_model(saved).steps_per_execution == 2
    for ours, theirs in zip(weights(workdir, 2), weights(run, 2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_corrupt_files_are_named_or_skipped(images, recipe, tmp_path, capsys):
    folder = shutil.copytree(images, tmp_path / "images")
    broken = folder / "train" / "dark" / "broken.png"
    broken.write_bytes((folder / "train" / "dark" / "0.png").read_bytes()[:60])
    workdir = tmp_path / "run"
    arguments = ["pretrain", f"--config={recipe}", f"--workdir={workdir}"]
    arguments += [f"--config.data.source={folder}", "--config.epochs=2"]
    one_error_line(capsys, arguments, "broken.png", "skip_corrupt")
    assert not workdir.exists()
    assert main([*arguments, "--config.data.skip_corrupt=True"]) == 0
    assert len(rows(workdir / "log.csv")) == 2


def test_another_config_in_the_workdir_is_refused(run, recipe, capsys):
    before = (run / "config.json").read_text()
    arguments = ["pretrain", f"--config={recipe}", f"--workdir={run}"]
    arguments += ["--config.batch_size=4", "--config.lambd=0.1"]
    # These fields may change.
    arguments += ["--config.checkpoint.keep=5", "--config.evaluation.knn.k=9"]
    one_error_line(
        capsys, arguments, "batch_size is 8, not 4", "lambd is 0.005, not 0.1"
    )
    assert (run / "config.json").read_text() == before


def test_a_workdir_that_cannot_be_written_is_named(recipe, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    workdir = tmp_path / "file" / "run"
    arguments = ["pretrain", f"--config={recipe}", f"--workdir={workdir}"]
    one_error_line(capsys, arguments, "cannot be written", str(workdir))


def test_a_checkpoint_of_another_architecture_is_refused(copied, capsys):
    """config.json was edited, the checkpoints were not."""
    config = json.loads((copied / "config.json").read_text())
    config["projector"] = [8, 9]
    (copied / "config.json").write_text(json.dumps(config))
    one_error_line(
        capsys, ["pretrain", f"--workdir={copied}"], "epoch-0002.keras", "architecture"
    )


def test_a_model_that_does_not_fit_into_memory(recipe, tmp_path, capsys):
    workdir = tmp_path / "run"
    arguments = ["pretrain", f"--config={recipe}", f"--workdir={workdir}"]
    # 8 PB: more than a process can address, however much the system promises.
    arguments += ["--config.projector=(1000000, 2000000000)"]
    parts = ["batch_size", "config.projector", "views.size", "config.microbatches"]
    one_error_line(capsys, arguments, "out of memory (OOM when", *parts)
