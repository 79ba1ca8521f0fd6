import os

import numpy as np
import pytest
import safetensors.numpy

import bt_keras
from bt_keras import convert
from bt_keras.convert import weight_files

STATE = {"a.weight": np.arange(6.0, dtype=np.float32).reshape(2, 3), "n": np.array(7)}
SUFFIXES = ("pth", "pt", "safetensors", "npz")


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_of_every_layout(suffix, tmp_path):
    state = {**STATE, "transposed": STATE["a.weight"].T, "empty": np.zeros((0, 2))}
    path = tmp_path / f"out.{suffix}"
    convert.save(path, state)
    loaded = convert.load(str(path))
    assert loaded.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape
        assert loaded[name].dtype == array.dtype
    assert list_names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_existing_files_are_not_overwritten(suffix, tmp_path):
    path = tmp_path / f"out.{suffix}"
    path.write_text("mine")
    with pytest.raises(bt_keras.UsageError, match="exists already"):
        convert.save(path, STATE)
    assert path.read_text() == "mine"
    assert list_names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failures_leave_no_files(suffix, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(bt_keras.UsageError, match="No space left"):
        convert.save(tmp_path / f"out.{suffix}", STATE)
    with pytest.raises(bt_keras.UsageError, match=r"there is no folder .*nowhere"):
        convert.save(tmp_path / "nowhere" / f"out.{suffix}", STATE)
    assert not list_names(tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unreadable_files(suffix, tmp_path):
    path = tmp_path / f"in.{suffix}"
    with pytest.raises(bt_keras.UsageError, match="No such file"):
        convert.load(path)
    convert.save(path, STATE)
    content = path.read_bytes()
    for bad in (content[: len(content) // 2], content[:-1], b"", b"text\n" * 50):
        path.write_bytes(bad)
        with pytest.raises(bt_keras.UsageError, match=rf"in\.{suffix} is ") as error:
            convert.load(path)
        assert "\n" not in str(error.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(bt_keras.UsageError, match="is a folder"):
        convert.load(path)


def test_temporary_names_are_unique(tmp_path):
    """Despite an existing link and a second conversion at the same time."""
    path, victim = tmp_path / "out.npz", tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".out.unfinished.npz").symlink_to(victim)
    first, second = weight_files.writing(path), weight_files.writing(path)
    names = first.__enter__(), second.__enter__()
    assert names[0] != names[1]
    for name in names:
        name.write_text(str(name))
    first.__exit__(None, None, None)
    with pytest.raises(bt_keras.UsageError, match="exists already"):
        second.__exit__(None, None, None)
    assert path.read_text() == str(names[0])
    assert victim.read_text() == "mine"
    assert list_names(tmp_path) == [".out.unfinished.npz", "out.npz", "victim"]


def test_file_systems_without_hard_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    convert.save(tmp_path / "out.npz", STATE)
    assert convert.load(tmp_path / "out.npz").keys() == STATE.keys()
    assert list_names(tmp_path) == ["out.npz"]


def test_read_only_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # The tests may run as root.
    with pytest.raises(bt_keras.UsageError, match="no permission"):
        weight_files.check_new(tmp_path / "out.npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_that_numpy_uses_for_arguments(suffix, tmp_path):
    state = dict.fromkeys(("file", "args", "kwds", "allow_pickle"), np.zeros(2))
    convert.save(tmp_path / f"out.{suffix}", state)
    assert convert.load(tmp_path / f"out.{suffix}").keys() == state.keys()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_of_objects_are_rejected(suffix, tmp_path):
    state = {"a": np.array([object()])}
    with pytest.raises(bt_keras.UsageError, match="object"):
        convert.save(tmp_path / f"out.{suffix}", state)
    assert not list_names(tmp_path)


@pytest.mark.parametrize("suffix", ["bin", "pkl", "h5", "keras", ""])
def test_unknown_suffixes(suffix, tmp_path):
    path = tmp_path / f"weights.{suffix}"
    for call in (lambda: convert.load(path), lambda: convert.save(path, STATE)):
        with pytest.raises(bt_keras.UsageError, match=r"\.pth, \.pt, .*\.safetensors"):
            call()


def test_objects_in_an_npz_are_rejected(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, a=np.array([object()]))
    with pytest.raises(bt_keras.UsageError, match=r"in\.npz is not a valid \.npz"):
        convert.load(path)


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_whole_checkpoints_require_a_pth(suffix, tmp_path):
    with pytest.raises(bt_keras.UsageError, match=r"as \.pth"):
        convert.save(tmp_path / f"out.{suffix}", {"epoch": 3, "model": STATE})
    assert not list_names(tmp_path)


def test_bfloat16_in_safetensors(tmp_path):
    import ml_dtypes

    path = tmp_path / "in.safetensors"
    array = STATE["a.weight"].astype(ml_dtypes.bfloat16)
    safetensors.numpy.save_file({"a": array}, path)
    loaded = weight_files.load(path)["a"].astype(np.float32)
    np.testing.assert_array_equal(loaded, STATE["a.weight"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_are_not_regular_are_refused(suffix, tmp_path):
    os.mkfifo(tmp_path / f"in.{suffix}")
    with pytest.raises(bt_keras.UsageError, match="is not a file: pass a weight file"):
        convert.load(tmp_path / f"in.{suffix}")


def test_a_large_compressed_npz_is_refused_unless_it_is_asked_for(tmp_path):
    path = tmp_path / "in.npz"
    np.savez_compressed(path, a=np.zeros(2**29 + 2**22, np.uint8))
    with pytest.raises(bt_keras.UsageError, match=r"in\.npz.*bytes when decompressed"):
        convert.load(path)
    assert convert.load(path, max_bytes=2**30)["a"].nbytes == 2**29 + 2**22
    with pytest.raises(bt_keras.UsageError, match="more than 1,000"):
        convert.load(path, max_bytes=1000)


def test_a_large_header_in_safetensors_is_refused(tmp_path):
    path = tmp_path / "in.safetensors"
    path.write_bytes((2**24 + 8).to_bytes(8, "little") + b"{}".ljust(2**24 + 8))
    with pytest.raises(bt_keras.UsageError, match=r"a header of 16,777,224 bytes"):
        convert.load(path)
