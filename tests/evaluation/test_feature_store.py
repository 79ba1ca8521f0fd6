"""Stored features: continued where they end, computed again where they are damaged."""

import errno
import json
import resource

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.evaluation import feature_store
from bt_keras.evaluation.feature_store import StoredFeatures, temporary

SHAPE = (10, 4)
FEATURES = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
LABELS = np.arange(10) % 3


class StoppedError(Exception):
    pass


def compute(first, last=10, batch=2):
    """Yields batches of features and labels; stops with an exception at a row."""
    for start in range(first, 10, batch):
        if start >= last:
            raise StoppedError
        yield FEATURES[start : start + batch], LABELS[start : start + batch]


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "_SYNC_INTERVAL", 0.0)
    return StoredFeatures(tmp_path / "features", {"weights": "a"}, SHAPE, "float32")


def stop_at(stored, row):
    with pytest.raises(StoppedError):
        stored.fill(lambda first: compute(first, row), *stored.intact())


def check_complete(stored, begins_at):
    rows, checksums = stored.intact()
    assert rows == begins_at
    stored.fill(compute, rows, checksums)
    assert stored.intact()[0] == 10
    features = stored.open()
    np.testing.assert_array_equal(features.features, FEATURES)
    np.testing.assert_array_equal(features.read(3, 7), FEATURES[3:7])
    np.testing.assert_array_equal(features.labels, LABELS)
    assert isinstance(features.features, np.memmap)


@pytest.mark.parametrize("row", [0, 2, 6])
def test_an_interrupted_computation_is_continued(stored, row):
    stop_at(stored, row)
    stop_at(stored, row)
    check_complete(stored, begins_at=row)


def test_files_that_cannot_be_read_now_are_not_given_up(stored, monkeypatch):
    stored.fill(compute, 0, {})

    def fails(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(feature_store.npy_rows, "checksum", fails)
        with pytest.raises(UsageError, match="Stale file handle"):
            stored.intact()
    assert stored.intact()[0] == 10


def test_rows_that_were_not_counted_are_replaced(stored):
    """A process was killed after it had written rows, and before it counted them."""
    stop_at(stored, 4)
    with (stored.folder / "features.npy").open("ab") as file:
        file.write(b"half a row")
    check_complete(stored, begins_at=4)


def test_rows_that_were_counted_are_not_written_again(stored):
    stop_at(stored, 6)
    begun = []
    stored.fill(lambda first: begun.append(first) or compute(first), *stored.intact())
    assert begun == [6]


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def change_state(**fields):
    def change(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("features.npy", flip),
        ("features.npy", cut),
        ("features.npy", lambda path: path.unlink()),
        ("labels.npy", flip),
        ("labels.npy", cut),
        ("store.json", cut),
        ("store.json", lambda path: path.write_text("[]")),
        ("store.json", change_state(rows=11)),
        ("store.json", change_state(rows=-1)),
        ("store.json", change_state(rows="5")),
        ("store.json", change_state(crc32={})),
        ("store.json", change_state(identity={"weights": "b"})),
    ],
)
@pytest.mark.parametrize("row", [6, 10])
def test_damaged_files_are_computed_again(stored, name, damage, row, caplog):
    if row < 10:
        stop_at(stored, row)
    else:
        stored.fill(compute, 0, {})
    damage(stored.folder / name)
    check_complete(stored, begins_at=0)
    assert f"{stored.folder} is damaged" in caplog.text


def test_a_full_disk_loses_no_rows(stored, monkeypatch):
    append = feature_store.npy_rows.RowsWriter.append

    def limited(writer, rows):
        """No file grows beyond 200 bytes, with 128 bytes of header."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        try:
            append(writer, rows)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with monkeypatch.context() as patched:
        patched.setattr(feature_store.npy_rows.RowsWriter, "append", limited)
        with pytest.raises(UsageError, match=r"cannot be written \(File too large\)"):
            stored.fill(compute, 0, {})
    check_complete(stored, begins_at=4)


def test_a_disk_that_is_too_small_is_noticed_first(stored, monkeypatch):
    usage = feature_store.shutil.disk_usage("/")._replace(free=10 * 24 - 1)
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match=r"do not fit, .* free: .*'float16'"):
        stored.fill(lambda first: pytest.fail("computed"), 0, {})


@pytest.mark.parametrize("in_memory", [0, 2**30])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_temporary_features(in_memory, dtype, monkeypatch, tmp_path):
    monkeypatch.setattr(feature_store, "IN_MEMORY_BYTES", in_memory)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    features = temporary(SHAPE, dtype, compute)
    np.testing.assert_array_equal(features.features, FEATURES.astype(dtype))
    np.testing.assert_array_equal(features.labels, LABELS)
    folders = list(tmp_path.iterdir())
    assert len(folders) == (not in_memory)
    del features
    assert not list(tmp_path.iterdir())


def test_a_temporary_folder_is_removed_after_an_interruption(monkeypatch, tmp_path):
    monkeypatch.setattr(feature_store, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StoppedError):
        temporary(SHAPE, "float32", lambda first: compute(first, 4))
    assert not list(tmp_path.iterdir())


def test_features_beyond_float16_are_named(stored):
    large = np.array([[1.0, 7e4, np.inf, 0.0]], "f4")
    assert feature_store.as_dtype(large, "float32") is large
    with pytest.raises(UsageError, match=r"do not fit into float16.*'float32'"):
        feature_store.as_dtype(large, "float16")
