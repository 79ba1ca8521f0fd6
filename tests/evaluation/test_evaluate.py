"""Protocols that the data do not allow: an error, or skipped by `all`."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import bt_keras
from bt_keras import config
from bt_keras.evaluation import evaluator as evaluator_module
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.pretext import Pretext
from bt_keras.evaluation.target import EvaluationTarget
from bt_keras.studies.run_values import newest_results
from bt_keras.workdir import Workdir
from tests.evaluation.gray import small_backbone

FEW = ("retrieval", "knn", "labelfree")


@pytest.fixture
def target(tmp_path):
    recipe = config.default()
    recipe.data.source = "shipped"
    recipe.data.train_split = "train[:64]"
    recipe.data.test_split = "test[:16]"
    recipe.views.size = 8
    return EvaluationTarget(small_backbone(), recipe, "3", Workdir(tmp_path))


@pytest.fixture
def few(monkeypatch):
    """`all` with those of its protocols that train no network."""
    monkeypatch.setitem(evaluator_module.PROTOCOLS, "all", FEW)


def test_all_goes_on_after_a_fault_that_is_found_late(target, few, capsys):
    """One test image: no class has two."""
    with pytest.raises(bt_keras.UsageError, match="two test images of a class"):
        evaluate(target, protocol="retrieval,knn", test_split="test[:1]")
    assert not target.workdir.results_file.exists()
    results = evaluate(target, protocol="all", test_split="test[:1]")
    assert {result.protocol for result in results} == {"knn", "labelfree"}
    assert results_file.read(target.workdir.results_file) == results
    out = capsys.readouterr().out
    assert "retrieval is skipped: retrieval needs two test images" in out


def test_results_of_another_size_than_the_views_say_so(target):
    [own, *_] = evaluate(target, protocol="knn")
    assert "size" not in own.settings
    target.config.evaluation.size = 8  # That of the views.
    assert evaluate(target, protocol="knn")[0].settings == own.settings
    target.config.evaluation.size = 12
    [other, *_] = evaluate(target, protocol="knn")
    assert other.settings == {**own.settings, "size": 12}
    # A module without a projector has a LiDAR, which is computed from views.
    pretext = Pretext(bt_keras.views(8, "small"), seed=0)
    target.config.evaluation.labelfree.lidar_images = 5
    scores = evaluate(replace(target, pretext=pretext), protocol="labelfree")
    sizes = {each.metric: each.settings.get("size") for each in scores}
    assert (sizes["rankme"], sizes["lidar"]) == (12, None)
    measured = [newest_results([each])["knn top1"] for each in (own, other)]
    assert [each.size for each in measured] == [None, 12]
    assert measured[0].kind == measured[1].kind  # Of the same images.


def test_all_is_an_error_if_everything_is_skipped_late(target, few, monkeypatch):
    monkeypatch.setitem(evaluator_module.PROTOCOLS, "all", ("retrieval",))
    with pytest.raises(bt_keras.UsageError, match="allow no protocol"):
        evaluate(target, protocol="all", test_split="test[:1]")


def test_all_does_not_skip_what_fails_outside_of_evaluators(target, few):
    """Such as a full disk."""

    def fail(results):
        raise bt_keras.UsageError("the disk is full")

    with pytest.raises(bt_keras.UsageError, match="the disk is full"):
        evaluate(target, protocol="all", progress=fail)


def test_all_does_not_skip_what_cannot_be_written(target, few, capsys):
    (target.workdir.path / "features").write_text("not a folder")
    with pytest.raises(bt_keras.UsageError, match="cannot be written"):
        evaluate(target, protocol="all")
    assert "is skipped" not in capsys.readouterr().out


@pytest.fixture
def photos(tmp_path):
    """Images without labels in one folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), "uint8"))
        image.save(folder / f"{number}.png")
    return str(folder)


def test_all_measures_unlabeled_images_of_one_split(target, photos, capsys):
    target.config.data.train_split = "train"
    target.config.data.test_split = "test"
    results = evaluate(target, protocol="all", source=photos)
    assert {result.protocol for result in results} == {"labelfree"}
    lines = capsys.readouterr().out.splitlines()
    skipped = {
        line.split()[0] for line in lines if " is skipped: it needs test" in line
    }
    assert skipped == {*evaluator_module.EVALUATORS} - {"labelfree"}
    assert any(line.startswith("no test images: ") for line in lines)


def test_other_protocols_need_test_images(target, photos):
    target.config.data.train_split = "train"
    target.config.data.test_split = "test"
    for protocol in ("cached", "knn,labelfree"):
        with pytest.raises(bt_keras.UsageError, match="no split 'test'"):
            evaluate(target, protocol=protocol, source=photos)
    # A split that was asked for is not replaced.
    with pytest.raises(bt_keras.UsageError, match="no split 'held'"):
        evaluate(target, protocol="all", source=photos, test_split="held")
