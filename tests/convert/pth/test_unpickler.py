"""Pickles that contain code, or are malformed."""

import os
import pickle

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.conftest import REFERENCE
from tests.convert.pth.pickles import archive, stream_start


class Evil:
    """Creates a file when its pickle is executed."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Opaque:
    """An object of a class that is not plain data."""


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_code_is_rejected_and_not_run(tmp_path, protocol):
    trace = tmp_path / "trace"
    bad = pickle.dumps({"conv1.weight": Evil(trace)}, protocol)
    with pytest.raises(bt_keras.UsageError, match=r"uses posix\.system"):
        convert.load(archive(tmp_path / "zip.pth", bad))
    if protocol > 1:  # torch.save uses protocol 2.
        (tmp_path / "bare.pth").write_bytes(bad)
        with pytest.raises(bt_keras.UsageError, match=r"uses posix\.system"):
            convert.load(tmp_path / "bare.pth")
        (tmp_path / "stream.pth").write_bytes(stream_start() + bad)
        with pytest.raises(bt_keras.UsageError, match=r"uses posix\.system"):
            convert.load(tmp_path / "stream.pth")
    assert not trace.exists()
    pickle.loads(bad)  # Python's own unpickler does run it.
    assert trace.exists()


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (b"\x80\x02cbuiltins\neval\n.", "builtins.eval"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.", "builtins.exec"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02c__main__\nexclude\n.", "__main__.exclude"),
        (b"\x80\x02cmain\nexclude_bias_and_norm\n.", "main.exclude_bias_and_norm"),
        (b"(ibuiltins\neval\n.", "INST"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (pickle.dumps(Opaque(), 2), "copyreg._reconstructor|test_unpickler.Opaque"),
        (pickle.dumps(Opaque(), 4), "test_unpickler.Opaque"),
        (pickle.dumps(np.float64(1), 2), "numpy"),
    ],
)
def test_forbidden_globals_are_named(bad, name, tmp_path):
    with pytest.raises(bt_keras.UsageError, match=f"rejected.*({name})"):
        convert.load(archive(tmp_path / "bad.pth", bad))


@pytest.mark.parametrize(
    "bad",
    [
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02h\x07.",
        b"\x80\x02}NNNu.",
        b"\x80\x02NNs.",
        b"\x80\x02]}a}}s.",
        b"\x80\x02X\xff\xff\xff\x7fabc",
        b"\x80\x02K\x01Q.",
        b"\xff\xff",
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
)
def test_malformed_pickles(bad, tmp_path):
    with pytest.raises(bt_keras.UsageError, match="truncated or damaged"):
        convert.load(archive(tmp_path / "bad.pth", bad))


def test_shared_values_are_copied_once(tmp_path):
    bomb = b"\x80\x02]q\x00"
    for level in range(1, 60):  # Each list contains the previous one twice.
        bomb += b"](" + 2 * (b"h" + bytes([level - 1])) + b"eq" + bytes([level])
    value = convert.load(archive(tmp_path / "deep.pth", bomb + b"."))
    assert value[0] is value[1]


@pytest.mark.parametrize("module", ["__main__", "__mp_main__"])
def test_official_parameter_filter_becomes_true(module, tmp_path, monkeypatch):
    import __main__

    def called(_):
        raise AssertionError

    monkeypatch.setattr(__main__, "exclude_bias_and_norm", called, raising=False)
    program = f"\x80\x02c{module}\nexclude_bias_and_norm\n.".encode("latin-1")
    assert convert.load(archive(tmp_path / "f.pth", program)) is True
    program = program[:-1] + b"N\x85R."  # In place of a constructor.
    with pytest.raises(bt_keras.UsageError, match="expected Name, found bool"):
        convert.load(archive(tmp_path / "f.pth", program))


def test_parameter_groups_with_functions_equal_current_ones():
    groups = convert.load(REFERENCE / "groups_by_name.pth")
    expected = convert.load(REFERENCE / "checkpoint.pth")["optimizer"]["param_groups"]
    assert groups == expected


@pytest.mark.parametrize(
    "name",
    [
        "torch._utils\n_rebuild_tensor_v3",
        "torch._utils\n_rebuild_sparse_tensor",
        "torch\nComplexFloatStorage",
        "torch.storage\nUntypedStorage",
    ],
)
def test_unsupported_tensors_are_not_reported_as_code(name, tmp_path):
    path = archive(tmp_path / "kind.pth", f"\x80\x02c{name}\n.".encode("latin-1"))
    message = "unsupported data type or kind of tensor .*" + name.replace("\n", ".")
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.load(path)
