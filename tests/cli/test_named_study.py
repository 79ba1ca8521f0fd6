"""`bt-keras study NAME`, with a scale whose runs train for seconds."""

import pytest

from bt_keras import config as config_lib
from bt_keras.cli import main
from bt_keras.studies import run_queue
from bt_keras.studies.catalog import STUDIES
from bt_keras.studies.queue import Queue
from bt_keras.studies.scales import SCALES, Scale
from bt_keras.studies.study import Study, Variant
from tests import tiny
from tests.cli.commands import one_error_line, rows

_LOSS = "bt_keras.studies.methods.loss_variants.LossVariant"
STUDY = Study(
    name="tiny",
    title="A tiny study",
    source="nowhere",
    baseline="baseline",
    variants=(
        Variant("baseline", paper=70.0),
        Variant(
            "other", {"method.name": _LOSS, "method.options.invariance": 0.5}, 60.0
        ),
    ),
)


@pytest.fixture
def scale(images, tmp_path, monkeypatch):
    """Replaces the small scale, and adds a study of two variants."""

    def replace(depth=6, source=images):
        path = tiny.write_config(tmp_path / "recipe.py", source, depth)
        made = Scale("tiny runs", lambda: config_lib.load(path))
        monkeypatch.setitem(SCALES, "small", made)

    monkeypatch.setitem(STUDIES, STUDY.name, STUDY)
    replace()
    return replace


@pytest.fixture
def in_this_process(monkeypatch):
    """Makes the runs of a queue in this process."""

    def make(queue, command):
        queue.require_runs()
        for name in queue.names():
            assert main(command(name)[3:]) == 0

    monkeypatch.setattr(run_queue, "run_queue", make)


def test_the_studies_are_listed(capsys):
    assert main(["study"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(STUDIES)


def test_a_study_from_its_runs_to_its_table(scale, in_this_process, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["study", "tiny", f"--out={out}", "--seeds=2"]
    assert main(command) == 0
    table = (out / "table.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.endswith(table)
    assert "| baseline | 70.0 " in table
    assert "| other    | 60.0          | -10.0      | 2 of 2 |" in table
    assert (out / "plot.png").stat().st_size > 1000
    results = rows(out / "results.csv")
    assert [row["status"] for row in results] == ["finished"] * 4
    assert [row["seed"] for row in results] == ["0", "0", "1", "1"]
    mean = sum(float(row["linear_cached top1"]) for row in results[::2]) / 2
    assert f"| {100 * mean:.2f} ± " in table

    # Of what has been run, with the seed that is missing.
    (out / "outcomes" / "seed1-other.json").unlink()
    assert main([*command, "--table"]) == 0
    assert "- other: seed 1 has not finished" in capsys.readouterr().out
    # The same command makes this run again, and no other one.
    assert main(command) == 0
    assert "Without results" not in (out / "table.md").read_text(encoding="utf-8")
    assert len(rows(out / "results.csv")) == 4


def test_any_config_is_the_recipe(
    scale, in_this_process, tmp_path, monkeypatch, capsys, images
):
    monkeypatch.chdir(tmp_path)
    command = ["study", "tiny", "--seeds=1", "--config=recipe.py"]
    assert main([*command, "--config.lambd=0.25", "--config.epochs=3"]) == 0
    out = tmp_path / "runs" / "studies" / "tiny-recipe"
    table = (out / "table.md").read_text(encoding="utf-8")
    assert "\nRuns: recipe, lambd=0.25, epochs=3. The paper's" in table
    config, _ = Queue(out).entry("seed0-baseline")
    assert (config.lambd, config.epochs) == (0.25, 3)
    # Another recipe is not mixed with the runs that are there.
    one_error_line(capsys, command, "has another run 'seed0-baseline'", "--out")


def test_the_default_folder(scale, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_queue, "run_queue", lambda queue, command: None)
    assert main(["study", "tiny", "--seeds=1"]) == 0
    queue = Queue(tmp_path / "runs" / "studies" / "tiny-small")
    assert queue.names() == ["seed0-baseline", "seed0-other"]
    assert "0 of 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["lost"], ["no study 'lost'", "did you mean loss?"]),
        (["qqqq"], ["no study 'qqqq'", "asymmetry"]),
        (["tiny", "--scale=large"], ["--scale", "small"]),
        (["tiny", "--seeds=0"], ["--seeds=0"]),
        (["tiny", "--seeds=11"], ["--seeds=11"]),
        (["tiny", "--seeds=two"], ["--seeds"]),
        (["tiny", "loss"], ["'loss'", "one study"]),
        (["tiny", "--table"], ["has no runs"]),
        (["tiny", "--queue=q"], ["tiny", "--queue"]),
        (["--queue=q", "--seeds=2"], ["--seeds cannot be used with --queue"]),
        (["tiny", "--entry=a"], ["--entry requires --queue"]),
        (["--seeds=2"], ["--seeds requires the name of a study"]),
        (["--retry"], ["--retry requires the name of a study"]),
        (["tiny", "--scale=imagenet", "--table"], ["--scale=imagenet", "--table"]),
        (["tiny", "--out=gs://bucket/out"], ["--out"]),
        (["tiny", "--config=demo", "--scale=small"], ["--config and --scale"]),
        (["tiny", "--config.epochs=2"], ["--config.epochs=2 requires --config"]),
        (["tiny", "--config=demo", "--config.epochs"], ["--config.epochs=VALUE"]),
        (["tiny", "--config=demo", "--config.epoch=2"], ["did you mean epochs"]),
        (["tiny", "--config=demo", "--config.epochs=0"], ["epochs"]),
        (["tiny", "--config=lost"], ["lost"]),
        (["tiny", "--confg=demo"], ["'--confg=demo' is not a flag"]),
        (["loss", "--config=demo", "--config.seed=7"], ["give --seeds"]),
        (["lambd", "--config=demo", "--config.lambd=1"], ["no effect", "lambd"]),
        (["projector", "--config=demo", "--config.projector=(64,)"], ["no effect"]),
        (
            ["method_rates", "--config=cifar10", "--config.data.test_split=train"],
            ["config.data.test_split has no effect"],
        ),
        (["lambd", "--config=demo", "--config.method.name=a.B"], ["a.B", "study sets"]),
        (
            ["batch_size", "--config=demo", "--config.batch_size=96"],
            ["batch size, 96", "32, 64"],
        ),
        (["--config=demo"], ["--config requires the name of a study"]),
        (["--queue=q", "--config=demo"], ["--config cannot be used with --queue"]),
    ],
    ids=" ".join,
)
def test_bad_input_is_named_and_nothing_is_written(
    scale, arguments, parts, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    one_error_line(capsys, ["study", *arguments], *parts)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_empty_stays(scale, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("")
    one_error_line(capsys, ["study", "tiny", f"--out={out}"], "is not empty")
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_the_plan_of_a_scale_that_trains_nothing(scale, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    small = SCALES["small"]
    monkeypatch.setitem(SCALES, "imagenet", Scale("a plan", small.recipe, trains=False))
    assert main(["study", "tiny", "--scale=imagenet", "--seeds=2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# A tiny study: a plan\n")
    assert "2 seeds of 2 variants: " in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow  # Four processes.
def test_runs_that_fail_are_named_and_made_again(scale, tmp_path, capsys):
    out, images = tmp_path / "out", tmp_path / "none"
    command = ["study", "tiny", "--seeds=1", f"--out={out}"]
    scale(depth=18, source=images)
    assert main(command) == 0
    table = (out / "table.md").read_text(encoding="utf-8")
    assert "- other: seed 0 failed (" in table
    assert str(images) in table
    tiny.write_images(images)
    assert main([*command, "--retry"]) == 0
    table = (out / "table.md").read_text(encoding="utf-8")
    assert "Without results" not in table
    assert table.count("1 of 1") == 2
