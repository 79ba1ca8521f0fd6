import dataclasses

import pytest

from bt_keras import UsageError
from bt_keras.studies import plot, run_study
from bt_keras.studies.catalog import STUDIES
from bt_keras.studies.queue import FINISHED, Outcome, Queue
from bt_keras.studies.scales import SCALES, configs

STUDY, SMALL = STUDIES["asymmetry"], SCALES["small"]
VARIANTS = ["baseline", "both", "predictor", "stop_gradient"]


def add(out, seeds, study=STUDY, scale=SMALL):
    queue = run_study.open_queue(study, scale, out)
    run_study.add_runs(queue, study, scale, seeds)
    return queue


def entries(queue):
    return {path.name: path.read_bytes() for path in (queue.path / "entries").iterdir()}


def test_runs_are_added_once_and_seeds_can_follow(tmp_path):
    queue = add(tmp_path / "out", seeds=1)
    assert queue.names() == [f"seed0-{name}" for name in VARIANTS]
    before = entries(queue)
    assert entries(add(tmp_path / "out", seeds=1)) == before
    more = add(tmp_path / "out", seeds=2)
    assert more.names() == [f"seed{s}-{name}" for s in (0, 1) for name in VARIANTS]
    assert before.items() <= entries(more).items()
    assert len(add(tmp_path / "out", seeds=1).names()) == 8


def test_a_study_whose_process_was_killed_while_it_added_runs(tmp_path):
    queue = Queue(tmp_path)
    (queue.path / "entries").mkdir()  # Before the first run.
    run_study.open_queue(STUDY, SMALL, tmp_path)
    name, config = next(configs(STUDY, SMALL, 0))
    queue.add(name, config, ("cached",))
    assert len(add(tmp_path, seeds=1).names()) == 4


def test_folders_of_something_else_are_errors_and_stay(tmp_path):
    def reads(message, study=STUDY, scale=SMALL):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError, match=message):
            run_study.open_queue(study, scale, tmp_path)
        assert sorted(tmp_path.rglob("*")) == before

    (tmp_path / "config.json").write_text("{}")
    reads("is not empty: take another folder with --out")
    (tmp_path / "config.json").unlink()
    add(tmp_path, seeds=1)
    reads("'seed0-both', which is not of study loss", study=STUDIES["loss"])
    # The same names, another recipe.
    reads("has another run 'seed0-baseline'", scale=SCALES["cifar"])


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        run_study.open_queue(STUDY, SMALL, tmp_path / "out")


def test_the_table_and_the_plot_are_written(tmp_path):
    queue = add(tmp_path, seeds=2)
    values = {"linear_cached top1": 0.75, "knn top1": 0.7}
    queue.record("seed0-baseline", Outcome(FINISHED, 1.0, values))
    text = run_study.write_results(queue, STUDY, SMALL)
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text
    assert "| 1 of 2 | 75.00 " in text
    assert "- both: seed 0 has not finished, seed 1 has not finished\n" in text
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(plot, "is_available", lambda: False)
    text = run_study.write_results(add(tmp_path, seeds=1), STUDY, SMALL)
    assert text.splitlines()[-1].startswith("no plot: pip install")
    assert "no plot" not in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert not (tmp_path / "plot.png").exists()


def test_a_study_without_runs_has_no_table(tmp_path):
    queue = run_study.open_queue(STUDY, SMALL, tmp_path / "out")
    with pytest.raises(UsageError, match="has no runs"):
        run_study.write_results(queue, STUDY, SMALL)
    assert not (tmp_path / "out").exists()


def test_omitted_variants_are_not_in_the_table(tmp_path):
    both = dataclasses.replace(STUDY.variant("both"), applies=lambda config: False)
    others = (v for v in STUDY.variants if v.name != "both")
    study = dataclasses.replace(STUDY, variants=(*others, both))
    queue = add(tmp_path, 1, study)
    assert "both" not in run_study.write_results(queue, study, SMALL)
