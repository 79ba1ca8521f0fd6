"""The command `bt-keras evaluate`, run in this process."""

import dataclasses
import sys

import keras
import pytest
import tensorflow as tf

from bt_keras import export_backbone
from bt_keras.cli import main
from bt_keras.cli.evaluator_flags import shares
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.tables import results_table
from bt_keras.evaluation.target import target_from_workdir
from bt_keras.workdir import Workdir
from tests.cli.commands import one_error_line

FINE_TUNE = ["--protocol=finetune", "--seeds=2"]
SEMI = "--protocol=semi"


def results(workdir):
    return results_file.read(workdir / "results.csv")


@pytest.mark.slow
def test_fine_tuning_of_a_run(copied, tmp_path, capsys):
    plot = tmp_path / "labels.png"
    arguments = [f"--workdir={copied}", f"--plot={plot}", *FINE_TUNE]
    assert main(["evaluate", *arguments]) == 0
    found = results(copied)
    assert [(r.backbone, r.epoch, r.seed, r.metric) for r in found] == [
        (backbone, epoch, seed, metric)
        for seed in (0, 1)
        for backbone, epoch in (("pretrained", "2"), ("scratch", "0"))
        for metric in ("top1", "top5")
    ]
    assert {(r.protocol, r.n) for r in found} == {("finetune", 18)}
    settings = {"label_share": 1.0, "images": 18, "steps": 3}
    assert all(r.settings | settings == r.settings for r in found)
    out = capsys.readouterr().out
    progress = [line for line in out.splitlines() if line.startswith("finetune (")]
    assert len(progress) == 4
    settings = "labels=100%, images=18, 3 steps, head_learning_rate=0.1, "
    settings += "learning_rate=0.1, seed=0"
    assert progress[1].startswith(f"finetune ({settings}), scratch: top-1 ")

    # The report has the same table: one line for each backbone, not for each seed.
    assert main(["report", f"--workdir={copied}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if line.startswith("100%")]
    assert [line.split()[:4] for line in lines] == [
        ["100%", "18", "pretrained", "2"],
        ["100%", "18", "scratch", "0"],
    ]
    assert all("±" in line and line in out for line in lines)
    picture = tf.io.decode_png(plot.read_bytes(), 3)
    assert min(picture.shape[:2]) > 300
    assert len(set(map(tuple, picture.numpy().reshape(-1, 3)))) > 10


def test_the_rate_of_the_cached_probe_is_chosen(copied, capsys):
    command = ["evaluate", f"--workdir={copied}", "--protocol=linear_cached"]
    assert main([*command, "--rates=grid"]) == 0
    assert "linear_cached, accuracy of held-out training" in capsys.readouterr().out
    top1, top5 = results(copied)
    assert top1.settings == top5.settings
    assert top1.settings["rates"] == "grid"
    grid = target_from_workdir(Workdir(copied)).config.evaluation.linear
    assert top1.settings["learning_rate"] in grid.grid_learning_rates
    # It is finished, and shown without the rate, which a repetition may change.
    assert main([*command, "--rates=grid"]) == 0
    out = capsys.readouterr().out
    assert "finished measurements" in out
    assert "epochs, rates=grid)" in out
    parts = ["--rates requires", "linear_cached"]
    one_error_line(capsys, [*command[:2], "--protocol=knn", "--rates=grid"], *parts)


def test_an_earlier_checkpoint(copied, capsys):
    arguments = ["evaluate", f"--workdir={copied}"]
    assert main([*arguments, "--checkpoint=epoch-0001"]) == 0
    assert {r.epoch for r in results(copied)} == {"1"}
    parts = ["'epoch-0003'", "'epoch-0001', 'epoch-0002'"]
    one_error_line(capsys, [*arguments, "--checkpoint=epoch-0003"], *parts)


def test_finished_measurements_are_kept_after_an_interruption(copied):
    target = target_from_workdir(Workdir(copied))

    def interrupt(results):
        raise KeyboardInterrupt

    overrides = {"semi": {"shares": (0.2,), "seeds": 1}}
    with pytest.raises(KeyboardInterrupt):
        evaluate(target, protocol="semi", overrides=overrides, progress=interrupt)
    assert [(r.backbone, r.metric) for r in results(copied)] == [
        ("pretrained", "top1"),
        ("pretrained", "top5"),
    ]


def test_repeated_commands_measure_what_is_missing(copied, capsys):
    command = ["evaluate", f"--workdir={copied}"]
    assert main([*command, "--protocol=knn"]) == 0
    [first] = {r.measurement for r in results(copied)}
    capsys.readouterr()
    assert main(command) == 0
    assert "results.csv: 1\n" in capsys.readouterr().out
    found = results(copied)
    assert [r.protocol for r in found] == ["knn"] * 2 + ["linear_cached"] * 2
    assert found[0].measurement == first
    capsys.readouterr()
    assert main([*command, "--untrained", "--protocol=knn"]) == 0
    assert main([*command, "--k=3", "--protocol=knn"]) == 0
    assert "finished measurements" not in capsys.readouterr().out
    # A table of finished measurements is that of the first time.
    assert main(command) == 0
    again = capsys.readouterr().out
    assert again.endswith("\n" + results_table(found) + "\n")
    assert len(results(copied)) == 8
    assert main([*command, "--remeasure"]) == 0
    remeasured = results(copied)[8:]
    assert remeasured == found


def test_all_protocols(copied, images, capsys):
    """Runs what the data allow, and says what is skipped and why."""
    command = ["evaluate", f"--workdir={copied}", "--protocol=all", "--untrained"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    skipped = {line.split()[0]: line for line in lines if " is skipped: " in line}
    assert list(skipped) == ["transfer", "multilabel", "semi", "finetune"]
    assert "give --source" in skipped["transfer"]
    assert "several labels" in skipped["multilabel"]
    assert "from scratch" in skipped["semi"]
    found = {r.protocol for r in results(copied)}
    assert found == {"knn", "retrieval", "linear", "linear_cached", "labelfree"}
    assert any(line.startswith("linear probes of untrained") for line in lines)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--protocol=transfer"], "give --source"),
        (["--protocol=knn,multilabel"], "several labels"),
        ([*FINE_TUNE, "--untrained"], "from scratch"),
    ],
)
def test_a_protocol_that_the_data_do_not_allow(copied, capsys, flags, part):
    one_error_line(capsys, ["evaluate", f"--workdir={copied}", *flags], part)
    assert not (copied / "results.csv").exists()


def test_transfer_to_a_folder(copied, photos, capsys):
    arguments = [f"--workdir={copied}", f"--source={photos}", "--protocol=transfer"]
    assert main(["evaluate", *arguments, "--epochs=2"]) == 0
    top1 = results(copied)[0]
    settings = {"epochs": 2, "learning_rate": 0.01}
    assert (top1.protocol, top1.settings) == ("transfer", settings)
    assert (top1.source, top1.n) == (str(photos), 18)


def test_splits_are_chosen(copied, capsys):
    arguments = [f"--workdir={copied}", "--protocol=knn"]
    splits = ["--train_split=test", "--test_split=train"]
    assert main(["evaluate", *arguments, *splits]) == 0
    train, test = capsys.readouterr().out.splitlines()[:2]
    assert "split 'test'" in train
    assert "split 'train'" in test


def test_a_module_gets_the_results_of_its_run(copied, module, images, capsys):
    """The same features give the same votes; no file is written."""
    one_error_line(capsys, ["evaluate", f"--module={module}"], "give --source")
    before = sorted(p.name for p in (*copied.iterdir(), *module.iterdir()))
    capsys.readouterr()
    flags = [f"--source={images}", "--k=3", "--temperature=0.5"]
    assert main(["evaluate", f"--module={module}", *flags]) == 0
    after = sorted(p.name for p in (*copied.iterdir(), *module.iterdir()))
    assert before == after
    printed = capsys.readouterr().out
    target = dataclasses.replace(target_from_workdir(Workdir(copied)), workdir=None)
    expected = evaluate(target, overrides={"knn": {"k": 3, "temperature": 0.5}})
    assert printed.endswith("\n" + results_table(expected) + "\n")


def test_fine_tuning_of_a_module(module, images, capsys):
    arguments = [f"--module={module}", f"--source={images}", SEMI]
    assert main(["evaluate", *arguments, "--labels=20%", "--seeds=1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    table = [line for line in lines if line and line[0] == "20%"]
    assert [line[2] for line in table] == ["pretrained", "scratch"]
    assert not any("±" in line for line in table)


def test_a_module_without_a_config_needs_a_source(images, tmp_path, capsys):
    inputs = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    folder = tmp_path / "module"
    export_backbone(keras.Model(inputs, pooled), folder)
    one_error_line(capsys, ["evaluate", f"--module={folder}"], "give --source")
    arguments = [f"--module={folder}", f"--source={images}"]
    one_error_line(
        capsys, ["evaluate", *arguments, "--test_split=other"], "no split 'other'"
    )
    # The default, "validation", is another name of "test".
    assert main(["evaluate", *arguments]) == 0
    assert "linear_cached" in capsys.readouterr().out


def test_a_module_that_does_not_exist_is_named(tmp_path, capsys):
    one_error_line(
        capsys, ["evaluate", f"--module={tmp_path / 'none'}"], str(tmp_path / "none")
    )


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["--workdir", "--module"]),
        (["--workdir=x", "--module=y"], ["--workdir", "--module", "not both"]),
        (["--module=y", "--untrained"], ["--untrained", "--workdir"]),
        (["--module=y", "--checkpoint=epoch-1"], ["--checkpoint", "--workdir"]),
        (["--workdir=x", "--untrained", "--checkpoint=e"], ["--checkpoint"]),
        (["--workdir=x", "--protocol=half"], ["half", "finetune"]),
        (["--workdir=x", "--protocol=knn,half"], ["'half'", "finetune"]),
        (["--workdir=x", "--labels=1%"], ["--labels requires --protocol=semi:"]),
        (["--workdir=x", *FINE_TUNE, "--labels=1%"], ["--labels", "semi"]),
        (["--workdir=x", "--seeds=1"], ["--seeds", "semi or finetune"]),
        (["--workdir=x", "--plot=a.png"], ["--plot", "finetune"]),
        (["--workdir=x", *FINE_TUNE, "--k=3"], ["--k", "cached or full"]),
        (["--workdir=x", *FINE_TUNE, "--strategy=one"], ["--strategy", "cached or"]),
        (["--workdir=x", FINE_TUNE[0], "--seeds=0"], ["seeds", "0"]),
        (["--workdir=x", FINE_TUNE[0], "--seeds=many"], ["seeds", "many"]),
        (["--workdir=x", FINE_TUNE[0], "--rates=best"], ["rates", "best"]),
        (["--workdir=x", *FINE_TUNE, "--seeds=2"], ["--seeds is given 2 times"]),
        (["--workdir=x", SEMI, "--labels=ten"], ["'ten'", "percentage"]),
        (["--workdir=x", SEMI, "--labels=100%"], ["--protocol=semi,finetune"]),
        (["--workdir=x", *FINE_TUNE, "--plot=a.jpeg"], ["a.jpeg", ".png"]),
        (["--workdir=x", *FINE_TUNE, "--plot=/none/a.png"], ["/none/a.png"]),
    ],
    ids=lambda value: " ".join(value[-2:]),
)
def test_bad_flags_are_named(capsys, flags, parts):
    one_error_line(capsys, ["evaluate", *flags], *parts)


def test_a_plot_without_matplotlib_is_refused_before_the_run(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    flags = ["--workdir=x", *FINE_TUNE, f"--plot={tmp_path / 'a.png'}"]
    one_error_line(capsys, ["evaluate", *flags], "pip install 'bt-keras[plot]'")


def test_percentages():
    assert shares("1%,10%") == (0.01, 0.1)
    assert shares("0.5%, 12.5%") == (0.005, 0.125)


@pytest.mark.parametrize(
    "text", ["", "0%", "0.0%", "110%", "100.1%", "ten", "10", "-1%", "1%,", "1e1%", "%"]
)
def test_other_shares_are_named(text):
    with pytest.raises(ValueError, match="percentage") as raised:
        shares(text)
    assert f"--labels={text}" in str(raised.value)


def test_a_percentage_twice_is_named():
    with pytest.raises(ValueError, match="twice"):
        shares("1%,10%,1.0%")
