"""The contents of a run that trained, was evaluated and exported."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bt_keras import config as config_lib
from bt_keras import losses
from bt_keras.checkpoint import latest
from bt_keras.data import pairs
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.target import target_from_workdir
from bt_keras.report import feature_views, images, network
from bt_keras.report.contents import SECTIONS
from bt_keras.report.gather import read
from bt_keras.report.verdicts import verdict
from bt_keras.training import setup
from bt_keras.workdir import Workdir
from tests import tiny
from tests.cli.commands import rows
from tests.report.made_up import rank
from tests.report.test_pictures import decoded


@pytest.fixture(scope="module")
def contents(evaluated):
    return read(evaluated)


def test_nothing_is_missing(contents):
    assert contents.gaps == {}
    assert contents.held_out
    assert (contents.name, contents.epochs, contents.total_epochs) == ("tiny", 2, 2)
    assert len(contents.results) == 8
    assert contents.module.passed == contents.module.checks
    assert contents.throughput.keys() == {2}
    assert "2 epochs" in verdict(contents)[0]


def test_c_is_that_of_the_first_batch_of_the_run(evaluated, contents):
    workdir = Workdir(evaluated)
    config = workdir.config()
    source, views = setup.load_data(config)
    [(view_a, view_b)] = pairs(source, views, 8, config.seed).take(1)
    untrained = latest.load_model(workdir, config, untrained=True)[1]
    trained = latest.load_model(workdir, config)[1]
    for model, found in zip((untrained, trained), contents.correlations, strict=True):
        z_a, z_b = (
            np.float64(model.projector(model.backbone(v, training=True), training=True))
            for v in (view_a, view_b)
        )
        expected = np.corrcoef(z_a.T, z_b.T)[:8, 8:]
        # The loss adds 1e-5 to the variances.
        np.testing.assert_allclose(found.block, expected, atol=0.02)
        matrix = losses.cross_correlation(z_a, z_b).numpy()
        assert found.diagonal == pytest.approx(np.diag(matrix).mean(), abs=1e-4)
        others = matrix[~np.eye(8, dtype=bool)]
        rms = np.sqrt(np.mean(others**2))
        assert found.off_diagonal == pytest.approx(rms, abs=1e-4)


def test_the_spectrum_is_that_of_the_test_images(evaluated, contents):
    target = target_from_workdir(Workdir(evaluated))
    _, spectrum = contents.spectra
    files = sorted((evaluated / "features").glob("test-*/features.npy"))
    features = np.load(files[0])
    expected = np.linalg.svd(features, compute_uv=False)
    np.testing.assert_allclose(spectrum.values, expected, rtol=1e-4, atol=1e-5)
    shares = expected / expected.sum()
    shares = shares[shares > 0]
    rank = np.exp(-np.sum(shares * np.log(shares)))
    assert spectrum.rank == pytest.approx(rank, rel=1e-3)
    assert spectrum.network == f"epoch {target.epoch}"
    assert spectrum.images == 18


def test_the_confusion_matrix_has_the_accuracy_of_knn(evaluated, contents):
    [knn] = [
        float(row["value"])
        for row in rows(evaluated / "results.csv")
        if (row["backbone"], row["evaluator"], row["metric"])
        == ("pretrained", "knn", "top1")
    ]
    counts = contents.confusion.counts
    assert counts.sum() == 18
    assert np.trace(counts) / 18 == pytest.approx(knn)
    assert contents.confusion.classes == ("dark", "light")


def test_neighbors_are_training_images_in_order(contents):
    assert [row.query.label for row in contents.neighbors] == ["dark", "light"]
    for row in contents.neighbors:
        assert len(row.neighbors) == 8
        assert list(row.similarities) == sorted(row.similarities, reverse=True)
        for picture in (row.query, *row.neighbors):
            is_light = decoded(picture.uri).mean() > 115
            assert picture.label == ("light" if is_light else "dark")


def test_the_map_has_every_test_image(contents):
    labels = [picture.label for picture in contents.feature_map.pictures]
    assert (labels.count("dark"), labels.count("light")) == (9, 9)
    assert np.isfinite(contents.feature_map.points).all()


def test_what_is_missing_is_named(copied):
    shutil.rmtree(copied / "checkpoints")
    (copied / "checkpoints").mkdir()
    shutil.rmtree(copied / "tensorboard")
    for name in ("log.csv", "views.png", "results.csv", "export.json"):
        (copied / name).unlink()
    gaps = read(copied).gaps
    assert gaps.keys() == SECTIONS.keys()
    assert "no epoch is finished yet" in gaps["curves"]
    for section in ("correlations", "spectra", "neighbors", "confusion"):
        assert "has no checkpoint yet" in gaps[section]


def test_a_run_that_was_only_evaluated_without_labels_has_results(copied, monkeypatch):
    def fail(*arguments):
        raise UsageError("left out")

    monkeypatch.setattr(network, "correlations", fail)
    monkeypatch.setattr(network, "samples", fail)
    file = Workdir(copied).results_file
    file.unlink()
    assert "nothing is measured yet" in read(copied).gaps["results"]
    results_file.append(file, [rank("pretrained", 9.5)])
    found = read(copied)
    assert "results" not in found.gaps
    assert [result.value for result in found.results] == [9.5]


@pytest.mark.parametrize("name", ["views.png", "export.json", "results.csv"])
def test_a_damaged_file_is_one_gap(copied, name):
    (copied / name).write_bytes(b"\xff")
    [reason] = read(copied).gaps.values()
    assert reason


def test_missing_images_leave_what_files_say(copied):
    workdir = Workdir(copied)
    config = workdir.config()
    config.data.source = str(copied / "nowhere")
    workdir.config_file.write_text(config_lib.to_json(config))
    found = read(copied)
    assert found.gaps.keys() == {
        "correlations",
        "spectra",
        "neighbors",
        "feature_map",
        "confusion",
    }
    assert "nowhere" in found.gaps["spectra"]
    assert found.curves


def test_without_labels_and_test_images_neighbors_come_from_the_training_images(
    copied, tmp_path
):
    folder = tmp_path / "flat"
    shutil.copytree(tiny.write_images(tmp_path / "all") / "train" / "dark", folder)
    workdir = Workdir(copied)
    config = workdir.config()
    config.data.source = str(folder)
    workdir.config_file.write_text(config_lib.to_json(config))
    found = read(copied)
    assert found.gaps.keys() == {"confusion"}
    assert "needs labels" in found.gaps["confusion"]
    assert not found.held_out
    assert len(found.neighbors) == 2  # Every sixth of nine images.
    assert {len(row.neighbors) for row in found.neighbors} == {7}
    assert not any(picture.label for picture in found.feature_map.pictures)


def test_large_data_are_sampled_in_a_fixed_order(monkeypatch, evaluated):
    monkeypatch.setattr(images, "BANK_IMAGES", 7)
    monkeypatch.setattr(images, "QUERY_IMAGES", 5)
    workdir = Workdir(evaluated)
    sources = images.sources(workdir.config())
    first, second = (network.samples(workdir, sources) for _ in range(2))
    assert first.bank.num_images == len(first.bank_features.labels) == 7
    assert first.queries.num_images == len(first.query_features.labels) == 5
    np.testing.assert_array_equal(
        first.query_features.features, second.query_features.features
    )
    # The pictures are those of the features.
    for source, features in (
        (first.bank, first.bank_features),
        (first.queries, first.query_features),
    ):
        labels = [int(label) for _, label in source.dataset()]
        assert labels == features.labels.tolist()


def test_many_classes_are_reduced_to_those_with_the_most_errors(monkeypatch):
    monkeypatch.setattr(feature_views, "_CONFUSED_CLASSES", 2)
    labels = np.array([0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 2, 1, 1, 1])
    counts = feature_views.count_pairs(labels, predicted, 3)
    found = feature_views.most_confused(counts, ("a", "b", "c"))
    assert found.classes == ("b", "c")
    assert found.counts.tolist() == [[1, 1], [2, 0]]
    assert found.num_classes == 3


def test_the_map_shows_the_classes_with_the_most_images(monkeypatch, evaluated):
    monkeypatch.setattr(feature_views, "_MAP_CLASSES", 1)
    workdir = Workdir(evaluated)
    found = network.samples(workdir, images.sources(workdir.config()))
    labels = np.array([1] * 10 + [0] * 8)
    found.frozen._test = dataclasses.replace(found.query_features, labels=labels)
    shown = feature_views.feature_map(found)
    assert [picture.label for picture in shown.pictures] == ["light"] * 10


def test_what_is_computed_is_chosen(evaluated):
    found = read(evaluated, compute=["spectra"])
    assert len(found.spectra) == 2
    missing = {"correlations", "neighbors", "feature_map", "confusion"}
    assert found.gaps.keys() == missing
    with pytest.raises(UsageError, match="compute='views' is not one of correlations"):
        read(evaluated, compute=["views"])


def test_errors_of_tensorflow_are_gaps(monkeypatch, copied):
    def fail(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "out of\nmemory")

    monkeypatch.setattr(network, "correlations", fail)
    assert read(copied).gaps == {"correlations": "out of memory"}
