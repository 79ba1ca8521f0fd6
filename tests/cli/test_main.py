"""The commands as their user runs them, in one process but for two tests."""

import csv
import importlib
import json
import shutil
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.cli import main
from bt_keras.cli.main import COMMANDS
from tests import processes, tiny


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def recipe(images):
    return tiny.write_config(images / "tiny.py", images)


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    """The workdir of a finished run."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["pretrain", "--config", str(recipe), f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copied")


def weights(workdir, epoch):
    model = keras.models.load_model(
        workdir / "checkpoints" / f"epoch-{epoch:04d}.keras"
    )
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_pretrain_leaves_config_logs_checkpoints_and_a_picture(run):
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
    # Photographs of noise: neither black nor washed out.
    assert 20 < np.mean(picture) < 235


def test_an_interrupted_run_ends_as_if_it_had_not_been(run, copied, capsys):
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


def test_evaluate_export_and_report(copied, capsys):
    workdir = f"--workdir={copied}"
    assert main(["evaluate", workdir, "--untrained"]) == 0
    assert main(["evaluate", workdir, "--k=3", "--temperature=0.5"]) == 0
    assert main(["evaluate", workdir, "--protocol=full"]) == 0
    results = rows(copied / "results.csv")
    seen = [(r["backbone"], r["epoch"], r["evaluator"], r["metric"]) for r in results]
    assert seen == [
        (backbone, epoch, evaluator, metric)
        for backbone, epoch, probe in (
            ("untrained", "0", "linear_cached"),
            ("pretrained", "2", "linear_cached"),
            ("pretrained", "2", "linear"),
        )
        for evaluator in ("knn", probe)
        for metric in ("top1", "top5")
    ]
    assert all(0 <= float(r["value"]) <= 1 for r in results)
    assert all(r["test_images"] == "18" for r in results)
    # Two classes: the five best always hold the right one.
    assert all(float(r["value"]) == 1 for r in results if r["metric"] == "top5")

    assert main(["export", workdir]) == 0
    assert tf.saved_model.contains_saved_model(copied / "module")
    capsys.readouterr()
    assert main(["report", workdir]) == 0
    report = capsys.readouterr().out
    for part in (
        "knn",
        "linear_cached",
        "untrained",
        "pretrained",
        "invariance",
        "redundancy",
        "views.png",
        str(copied / "module"),
        "18",
    ):
        assert part in report, part


def test_python_dash_m_export_is_the_command(run, tmp_path):
    command = [sys.executable, "-m", "export", f"--workdir={run}"]
    done = subprocess.run(
        [*command, f"--out={tmp_path / 'module'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tf.saved_model.contains_saved_model(tmp_path / "module")


def one_error_line(capsys, arguments, *parts):
    """Runs a command that must fail; checks its one line."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("bt-keras: error: ")
    for part in parts:
        assert part in lines[0], lines[0]


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--config.bach_size=4"], ["batch_size"]),
        (["--config.batch_size=many"], ["batch_size", "many"]),
        (["--config.microbatches=3"], ["config.microbatches is 3"]),
        (["--config.steps_per_execution=3"], ["execution is 3", "from 1, 2"]),
        (["--config.batch_size=1"], ["at least 2 images"]),
        (["--config.batch_size=1000"], ["1000", "18 images"]),
        (["--config.views.recipe=large"], ["large", "small"]),
        (["--config.backbone.depth=19"], ["19", "18, 34, 50"]),
        (["--config.projector=(8, 0)"], ["projector"]),
        (["--config.precision=int8"], ["int8", "mixed_bfloat16"]),
        (["--config.optimizer.name=newton"], ["newton", "lars"]),
        (["--config.optimizer.options.speed=3"], ["speed"]),
        (["--config.optimizer.warmup_epochs=9"], ["warmup_epochs", "9"]),
        (["--config.epochs=0"], ["epochs"]),
        (["--config.seed=-1"], ["seed", "-1"]),
        (["--config.lambd=-1.0"], ["lambd", "-1"]),
        (["--config.data.source=shiped"], ["shiped", "shipped"]),
        (["--config.data.source=tfds:cifar11"], ["cifar11", "cifar10"]),
        (["--config.data.train_split=dev"], ["dev", "train"]),
        (["--workdr=x"], ["workdr"]),
        (["stray"], ["stray"]),
        (["--", "--strategy=one"], ["'--'"]),
        (["--join_timeout=-1"], ["join_timeout"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("-") else "",
)
def test_bad_values_leave_nothing_behind(recipe, tmp_path, capsys, flags, parts):
    arguments = ["pretrain", "--config", recipe, "--workdir", tmp_path / "run", *flags]
    one_error_line(capsys, arguments, *parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("config.bach_size = 4", "bach_size"),
        ("config.batch_size = 'many'", "batch_size"),
        ("config.batch_size = = 3", "SyntaxError"),
        ("config.batch_size = undefined", "undefined"),
        ("return 3", "get_config() gives int"),
        ("import ml_collections; return ml_collections.ConfigDict()", "missing"),
    ],
)
def test_bad_config_files_are_named(tmp_path, capsys, text, part):
    path = tmp_path / "mine.py"
    path.write_text(
        "from bt_keras.config import default\n"
        f"def get_config():\n    config = default()\n    {text}\n    return config\n"
    )
    arguments = ["pretrain", f"--config={path}", f"--workdir={tmp_path / 'run'}"]
    one_error_line(capsys, arguments, "mine.py", part)
    assert not (tmp_path / "run").exists()


def test_a_config_that_does_not_exist_is_named(tmp_path, capsys):
    arguments = ["pretrain", "--config=cifar", f"--workdir={tmp_path / 'run'}"]
    one_error_line(capsys, arguments, "cifar", "cifar10")


def test_another_config_in_the_workdir_is_refused(run, recipe, capsys):
    before = (run / "config.json").read_text()
    arguments = ["pretrain", f"--config={recipe}", f"--workdir={run}"]
    arguments += ["--config.batch_size=4", "--config.lambd=0.1"]
    # Which may change.
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
    """Its config.json was changed by hand; the checkpoints stayed."""
    config = json.loads((copied / "config.json").read_text())
    config["projector"] = [8, 9]
    (copied / "config.json").write_text(json.dumps(config))
    one_error_line(
        capsys, ["pretrain", f"--workdir={copied}"], "epoch-0002.keras", "architecture"
    )


@pytest.mark.parametrize("command", ["evaluate", "export", "report"])
def test_a_folder_that_is_no_run_is_named(tmp_path, capsys, command):
    one_error_line(capsys, [command, f"--workdir={tmp_path}"], "holds no run")


def test_a_run_without_a_checkpoint_is_named(copied, capsys):
    shutil.rmtree(copied / "checkpoints")
    (copied / "checkpoints").mkdir()
    one_error_line(capsys, ["export", f"--workdir={copied}"], "no checkpoint yet")


def test_labels_asked_for_where_there_are_none(copied, images, tmp_path, capsys):
    flat = tmp_path / "flat"
    for split in ("train", "test"):
        shutil.copytree(images / split / "dark", flat / split)
    arguments = ["evaluate", f"--workdir={copied}", f"--source={flat}"]
    one_error_line(capsys, arguments, "needs labels", str(flat))
    assert not (copied / "results.csv").exists()


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


@pytest.mark.parametrize(
    ("tf_config", "flags", "parts"),
    [
        (None, ["--strategy=horovod"], ["horovod", "auto, one, mirrored"]),
        (None, ["--strategy=tpu"], ["no TPU", "TPU_NAME"]),
        (None, ["--strategy=multi_worker"], ["TF_CONFIG", "srun"]),
        (None, ["--on_nan=ignore"], ["ignore", "stop, rollback"]),
        ("{cluster", [], ["TF_CONFIG", "JSON"]),
        ('{"cluster": {"worker": ["here"]}}', [], ["here", "host"]),
        (
            '{"cluster": {"worker": ["127.0.0.1:PORT", "127.0.0.1:1"]},'
            ' "task": {"type": "worker", "index": 0}}',
            ["--join_timeout=0.2"],
            ["worker 1 (127.0.0.1:1)", "0.2 s"],
        ),
        (
            '{"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:PORT"]},'
            ' "task": {"type": "worker", "index": 1}}',
            ["--join_timeout=0.2"],
            ["the chief", "127.0.0.1:1"],
        ),
        (
            '{"cluster": {"worker": ["127.0.0.1:TAKEN", "127.0.0.1:1"]},'
            ' "task": {"type": "worker", "index": 0}}',
            [],
            ["port", "in use"],
        ),
    ],
    ids=str,
)
def test_workers_that_cannot_be_joined_are_named(
    recipe, tmp_path, capsys, monkeypatch, tf_config, flags, parts
):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        if tf_config:
            (port,) = processes.free_ports(1)
            tf_config = tf_config.replace("PORT", str(port))
            tf_config = tf_config.replace("TAKEN", str(taken.getsockname()[1]))
            monkeypatch.setenv("TF_CONFIG", tf_config)
        arguments = ["pretrain", "--config", recipe, "--workdir", tmp_path / "run"]
        one_error_line(capsys, [*arguments, *flags], *parts)
    assert not (tmp_path / "run").exists()


def test_unknown_commands_and_no_command(capsys):
    one_error_line(capsys, ["pretrian"], "pretrian", "pretrain, evaluate")
    assert main([]) == 0
    overview = capsys.readouterr().out
    for command in COMMANDS:
        assert f"    {command} " in overview


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_manual_page_with_every_flag(capsys, command):
    assert main([command, "--help"]) == 0
    manual = capsys.readouterr().out
    assert f"    bt-keras {command} --" in manual
    flags = importlib.import_module(f"bt_keras.cli.{command}").define_flags()
    for name in flags:
        assert f"\n    --{name}" in manual or name == "h"
        assert flags[name].help.endswith("."), name
    assert all(len(line) <= 88 for line in manual.splitlines())


def test_a_closed_pipe_ends_help_without_a_traceback():
    command = [sys.executable, "-m", "bt_keras.cli", "pretrain", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # Before the command writes its first line.
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_real_process_exits_with_status_2_and_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bt_keras.cli", "evaluate", "--workdir", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("bt-keras: error: workdir")
