"""Features of a run: which are reused, who waits for whom, what is removed."""

import itertools
import threading
import time

import numpy as np
import pytest

from bt_keras import UsageError, system
from bt_keras.evaluation.feature_folder import FeatureFolder

SHAPE = (4, 3)
IMAGES = {"split": "train[:50%]", "digest": "1"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features"


class Computer:
    """Counts how often features are computed."""

    def __init__(self, value=1.0):
        self.value = value
        self.calls = 0

    def __call__(self, first):
        self.calls += 1
        for row in range(first, SHAPE[0]):
            yield np.full((1, SHAPE[1]), self.value + row, "f4"), np.array([row])


def folder(path, network="a", size=8, dtype="float32"):
    return FeatureFolder(path, {"weights": network}, {"size": size}, dtype)


def stores(path):
    return sorted(p.name for p in path.iterdir() if p.is_dir())


def test_the_same_features_are_computed_once(path, capsys):
    compute = Computer()
    first = folder(path).features(IMAGES, SHAPE, compute)
    again = folder(path).features(IMAGES, SHAPE, compute)
    assert compute.calls == 1
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.labels, again.labels)
    [name] = stores(path)
    assert name.startswith("train-50-")
    lines = capsys.readouterr().out.splitlines()
    assert "4 x 3, 0 MB in" in lines[0]
    assert lines[1].endswith(f"read from {path / name}")


@pytest.mark.parametrize(
    ("changed", "images", "shape"),
    [
        ({"size": 9}, IMAGES, SHAPE),
        ({"dtype": "float16"}, IMAGES, SHAPE),
        ({}, {**IMAGES, "split": "test"}, SHAPE),
        ({}, {**IMAGES, "digest": "2"}, SHAPE),
    ],
)
def test_what_features_depend_on_makes_others(path, changed, images, shape):
    folder(path).features(IMAGES, SHAPE, Computer())
    compute = Computer(value=5.0)
    found = folder(path, **changed).features(images, shape, compute)
    assert compute.calls == 1
    assert found.features[0, 0] == 5
    assert len(stores(path)) == 2


def test_features_of_another_network_are_removed(path, capsys):
    test = {**IMAGES, "split": "test"}
    for images in (IMAGES, test):
        folder(path).features(images, SHAPE, Computer())
    other = path / "notes"
    other.mkdir()
    capsys.readouterr()
    mapped = folder(path).features(IMAGES, SHAPE, Computer())
    found = folder(path, network="b").features(IMAGES, SHAPE, Computer(7.0))
    assert found.features[0, 0] == 7
    assert mapped.features[0, 0] == mapped.read(0, 1)[0, 0] == 1  # Still in use.
    assert len(stores(path)) == 2
    assert other.exists()
    lines = capsys.readouterr().out.splitlines()
    removed = [line for line in lines if "of another network" in line]
    assert len(removed) == 2
    assert all(line.startswith(f"removed {path}") for line in removed)


@pytest.mark.parametrize("entry", ["versions", "code"])
def test_features_of_another_version_are_removed(path, capsys, entry):
    def stored(version, **others):
        settings = {"size": 8, entry: version} | others
        made = FeatureFolder(path, {"weights": "a"}, settings)
        made.features(IMAGES, SHAPE, Computer())

    stored("1")
    stored("1", size=9)  # May be used again.
    old = stores(path)
    assert len(old) == 2
    capsys.readouterr()
    stored("2")
    [new] = stores(path)
    assert new not in old
    lines = capsys.readouterr().out.splitlines()
    what = "0 MB of features of another version of the program"
    assert lines[:2] == [f"removed {path / name}: {what}" for name in old]


def test_features_that_another_process_computes_are_not_removed(path):
    folder(path).features(IMAGES, SHAPE, Computer())
    [name] = stores(path)
    with (path / f".{name}.lock").open("ab") as file:
        assert system.try_lock(file)
        folder(path, network="b").features(IMAGES, SHAPE, Computer())
    assert len(stores(path)) == 2


def test_a_second_process_waits_for_the_features_of_the_first(path):
    started, results = threading.Event(), []

    def slow(first):
        started.set()
        time.sleep(0.5)
        yield from Computer()(first)

    def run(compute):
        results.append(folder(path).features(IMAGES, SHAPE, compute))

    first = threading.Thread(target=run, args=(slow,))
    first.start()
    started.wait()
    second = Computer()
    run(second)
    first.join()
    assert second.calls == 0
    np.testing.assert_array_equal(*(found.features for found in results))


def test_without_a_folder_or_known_images_nothing_is_kept(path):
    for made, images in ((FeatureFolder(), IMAGES), (folder(path), None)):
        assert made.features(images, SHAPE, Computer()).features.shape == SHAPE
    assert not path.exists()


def test_a_folder_that_is_read_only(path, capsys):
    def found(compute, **of):
        settings = {"weights": "a"} | of, {"size": 8}
        made = FeatureFolder(path, *settings, read_only=True)
        return made.features(IMAGES, SHAPE, compute).features

    def interrupted(first):
        yield from itertools.islice(Computer()(first), 2)
        raise KeyboardInterrupt

    assert found(Computer(3.0))[0, 0] == 3
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt):
        folder(path).features(IMAGES, SHAPE, interrupted)
    before = sorted(path.rglob("*"))
    assert found(Computer(3.0))[0, 0] == 3  # Some rows are not done.
    folder(path).features(IMAGES, SHAPE, Computer())
    [name] = stores(path)
    capsys.readouterr()
    compute = Computer(3.0)
    assert found(compute)[0, 0] == 1
    assert compute.calls == 0
    assert capsys.readouterr().out.endswith(f"read from {path / name}\n")
    assert found(compute, weights="b")[0, 0] == 3
    assert sorted(path.rglob("*")) == before


def test_a_folder_that_cannot_be_written(path):
    path.write_text("not a folder")
    with pytest.raises(UsageError, match="cannot be written"):
        folder(path).features(IMAGES, SHAPE, Computer())
