"""Runs side by side; the runs are written by hand."""

import json

import pytest

from bt_keras import UsageError, config
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.results import Result
from bt_keras.studies.compare import compare
from bt_keras.workdir import Workdir

IMAGES = {"images": 100, "digest": "abc"}


def make_run(path, rank=None, images=IMAGES, source="shipped", loss=7.5, **fields):
    recipe = config.load("demo")
    recipe.update(fields)
    workdir = Workdir(path)
    workdir.claim(recipe)
    workdir.images_file.write_text(json.dumps(images))
    if loss is not None:
        workdir.log_file.write_text(f"epoch,loss\n0,9.0\n1,{loss}\n")
    of = {"source": source, "backbone": "pretrained", "epoch": "2"}
    if rank is not None:
        scored = Result("labelfree", "rankme", rank, 90, {"of": "embeddings"}, **of)
        results = [scored, Result("knn", "top1", rank / 100, 50, **of)]
        results_file.append(workdir.results_file, results)
    return workdir


def test_recipes_results_and_the_ranking(tmp_path):
    text = compare(
        [
            make_run(tmp_path / "low", 5.0, lambd=0.1, seed=1),
            make_run(tmp_path / "high", 80.0, lambd=0.02, seed=2),
            make_run(tmp_path / "middle", 31.25, lambd=0.02, seed=2, loss=123.456),
        ],
        "rankme",
    )
    recipes, curves, numbers, ranking = (
        part.splitlines() for part in text.split("\n\n")
    )
    assert recipes[0].split() == ["run", "lambd", "seed"]
    assert [line.split() for line in recipes[2:]] == [
        ["low", "0.1", "1"],
        ["high", "0.02", "2"],
        ["middle", "0.02", "2"],
    ]
    assert [line.split() for line in curves[2:]] == [
        ["low", "9", "7.5"],
        ["high", "9", "7.5"],
        ["middle", "9", "123.5"],
    ]
    assert "knn top1" in numbers[0]
    assert "epochs  evaluated at" in numbers[0]
    assert [line.split() for line in numbers[2:]] == [
        ["low", "2", "2", "7.5", "5", "5.00"],
        ["high", "2", "2", "7.5", "80", "80.00"],
        ["middle", "2", "2", "123.5", "31.25", "31.25"],
    ]
    assert "by rankme" in ranking[0]
    assert [line.split()[:2] for line in ranking[2:]] == [
        ["1", "high"],
        ["2", "middle"],
        ["3", "low"],
    ]


def test_runs_that_were_not_evaluated_have_no_ranking(tmp_path):
    text = compare([make_run(tmp_path / name) for name in "ab"])
    assert text.startswith("the recipes do not differ\n\n")
    assert len(text.split("\n\n")) == 3


def test_settings_that_do_not_change_the_training_are_left_out(tmp_path):
    first, second = (make_run(tmp_path / name) for name in "ab")
    changed = second.config()
    changed.evaluation.batch_size = 7
    changed.checkpoint.keep = 9
    changed.callbacks.knn_every = 3
    changed.data.source = "/elsewhere"
    second.replace(second.config_file, config.to_json(changed))
    assert compare([first, second]).startswith("the recipes do not differ")


def test_the_same_folder_names_become_paths(tmp_path):
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run"]
    text = compare([make_run(path) for path in paths])
    for path in paths:
        assert str(path) in text
    with pytest.raises(UsageError, match="given twice"):
        compare([Workdir(paths[0])] * 2)


def test_other_images_cannot_be_compared(tmp_path):
    first = make_run(tmp_path / "a", 5.0)
    other = make_run(tmp_path / "b", 5.0, images={"images": 99, "digest": "d"})
    with pytest.raises(UsageError, match=r"runs a and b .* were trained on different"):
        compare([first, other])
    other = make_run(tmp_path / "c", 5.0, source="/data/photos")
    with pytest.raises(UsageError, match=r"a and c .* evaluated \(.*\) on different"):
        compare([first, other])
    moved = make_run(tmp_path / "d", 5.0, source="/other/photos")
    assert compare([other, moved], "rankme")


def test_other_settings_cannot_be_compared(tmp_path):
    first, second = (make_run(tmp_path / name, 5.0) for name in "ab")
    of = {"source": "shipped", "backbone": "pretrained", "epoch": "2"}
    for name, workdir in (("k", first), ("other", second)):
        few = Result("knn", "top1", 0.5, 50, {"k": 20 if name == "k" else 200}, **of)
        results_file.append(workdir.results_file, [few])
    with pytest.raises(UsageError, match=r"\(knn top1\) on different images or with"):
        compare([first, second])


def with_sizes(path, **sizes):
    """A run with views of 56 pixels, and results at sizes of their own."""
    workdir = make_run(path)
    of = {"source": "shipped", "backbone": "pretrained", "epoch": "2"}
    for name, size in sizes.items():
        own = {} if size is None else {"size": size}
        protocol, metric, value = {
            "knn": ("knn", "top1", 0.5),
            "linear": ("linear_cached", "top1", 0.75),
            "rank": ("labelfree", "rankme", 9.0),
        }[name]
        own |= {"of": "embeddings"} if name == "rank" else {}
        results = [Result(protocol, metric, value, 50, own, **of)]
        results_file.append(workdir.results_file, results)
    return workdir


def test_the_sizes_of_results_are_shown_where_they_differ(tmp_path):
    """Those in the results: the ones in config.json can be changed."""
    runs = [
        with_sizes(tmp_path / "a", knn=None, linear=28),
        with_sizes(tmp_path / "b", knn=28, linear=28),
        with_sizes(tmp_path / "c", linear=28),
    ]
    *_, numbers = compare(runs).split("\n\n")
    assert [line.split()[-4:] for line in numbers.split("\n")[2:4]] == [
        ["50.00", "(56", "px)", "75.00"],
        ["50.00", "(28", "px)", "75.00"],
    ]
    *_, numbers = compare(runs[1:]).split("\n\n")
    assert "px" not in numbers


def test_a_ranking_of_results_of_other_sizes_says_so(tmp_path):
    first, second, third = (
        with_sizes(tmp_path / name, rank=size)
        for name, size in (("a", None), ("b", 28), ("c", 56))
    )
    changed = third.config()
    changed.evaluation.size = 28
    third.replace(third.config_file, config.to_json(changed))
    text = compare([first, second], "rankme").splitlines()
    assert "differ in the size of the images, with which rankme changes" in text[-1]
    assert "rankme changes" not in compare([first, third], "rankme")


def add_loss(workdir, batch, width):
    """Adds the loss as `labelfree` measures it on whole batches of 2,000 images."""
    settings = {"of": "embeddings", "batch": batch, "width": width}
    of = {"source": "shipped", "backbone": "pretrained", "epoch": "2"}
    count = 2000 // batch * batch
    results = [Result("labelfree", "loss", 7.0, count, settings, **of)]
    results_file.append(workdir.results_file, results)


def test_batches_and_widths_may_differ(tmp_path):
    first = make_run(tmp_path / "a", 5.0, batch_size=128, projector=(64, 64))
    second = make_run(tmp_path / "b", 5.0, batch_size=256)
    add_loss(first, 128, 64)
    add_loss(second, 256, 512)
    text = compare([first, second], "loss").splitlines()
    assert "differ in batch_size, projector, with which loss changes" in text[-1]
    text = compare([first, second], "rankme").splitlines()
    assert "differ in projector, with which rankme changes" in text[-1]


def test_fields_that_leave_a_score_as_it_is(tmp_path):
    runs = [
        make_run(tmp_path / name, 5.0, lambd=0.1 * k)
        for k, name in ((1, "a"), (2, "b"))
    ]
    assert "changes" not in compare(runs, "rankme")


def test_a_run_without_images_json(tmp_path):
    first, second = (make_run(tmp_path / name) for name in "ab")
    for workdir in (first, second):
        workdir.images_file.unlink()
    assert compare([first, second])
    second.images_file.write_text("{")
    with pytest.raises(UsageError, match=r"images\.json"):
        compare([first, second])


def test_runs_without_results(tmp_path):
    first = make_run(tmp_path / "a", 5.0)
    with pytest.raises(UsageError, match="b has neither losses nor results"):
        compare([first, make_run(tmp_path / "b", loss=None)])
    text = compare([first, make_run(tmp_path / "c")], "rankme")
    assert "\n1      a" in text
    assert "\nnot ranked: c has no result 'labelfree rankme embeddings'" in text
    with pytest.raises(UsageError, match="holds no run"):
        compare([first, Workdir(tmp_path / "d")])
    with pytest.raises(UsageError, match="at least two"):
        compare([first])


def test_a_score_that_does_not_exist(tmp_path):
    runs = [make_run(tmp_path / name, 5.0) for name in "ab"]
    with pytest.raises(UsageError, match="'labelfree lidar embeddings'"):
        compare(runs, "lidar")
