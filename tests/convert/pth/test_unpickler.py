"""Pickles that nobody should run."""

import os
import pickle

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.conftest import REFERENCE
from tests.convert.archives import archive


class Evil:
    """Leaves a file behind where its pickle is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Opaque:
    """Pickled as an object of a class of its own."""


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_code_is_refused_named_and_not_run(tmp_path, protocol):
    trace = tmp_path / "trace"
    bad = pickle.dumps({"conv1.weight": Evil(trace)}, protocol)
    with pytest.raises(bt_keras.UsageError, match=r"asks for posix\.system"):
        convert.load(archive(tmp_path / "zip.pth", bad))
    if protocol > 1:  # torch.save takes 2.
        (tmp_path / "bare.pth").write_bytes(bad)
        with pytest.raises(bt_keras.UsageError, match=r"asks for posix\.system"):
            convert.load(tmp_path / "bare.pth")
        start = (REFERENCE / "tensors_stream.pth").read_bytes()[:137]
        (tmp_path / "stream.pth").write_bytes(start + bad)
        with pytest.raises(bt_keras.UsageError, match=r"asks for posix\.system"):
            convert.load(tmp_path / "stream.pth")
    assert not trace.exists()
    pickle.loads(bad)  # It would have been.
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
        (pickle.dumps(Opaque(), 2), "copyreg._reconstructor|test_pth_pickle.Opaque"),
        (pickle.dumps(Opaque(), 4), "test_pth_pickle.Opaque"),
        (pickle.dumps(np.float64(1), 2), "numpy"),
    ],
)
def test_whatever_else_a_pickle_asks_for_is_named(bad, name, tmp_path):
    with pytest.raises(bt_keras.UsageError, match=f"refused.*({name})"):
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
def test_pickles_that_are_none_are_damaged(bad, tmp_path):
    with pytest.raises(bt_keras.UsageError, match="truncated or damaged"):
        convert.load(archive(tmp_path / "bad.pth", bad))


def test_many_references_to_one_part_are_one_part(tmp_path):
    bomb = b"\x80\x02]q\x00"
    for level in range(1, 60):  # Each list holds the one before it twice.
        bomb += b"](" + 2 * (b"h" + bytes([level - 1])) + b"eq" + bytes([level])
    value = convert.load(archive(tmp_path / "deep.pth", bomb + b"."))
    assert value[0] is value[1]


@pytest.mark.parametrize("module", ["__main__", "__mp_main__"])
def test_the_official_codes_function_is_a_constant(module, tmp_path, monkeypatch):
    import __main__

    def called(_):
        raise AssertionError

    monkeypatch.setattr(__main__, "exclude_bias_and_norm", called, raising=False)
    program = f"\x80\x02c{module}\nexclude_bias_and_norm\n.".encode("latin-1")
    assert convert.load(archive(tmp_path / "f.pth", program)) is True
    called = program[:-1] + b"N\x85R."  # As what a pickle may call.
    with pytest.raises(bt_keras.UsageError, match="bool where Name should be"):
        convert.load(archive(tmp_path / "f.pth", called))


def test_groups_that_name_functions_are_those_of_today():
    groups = convert.load(REFERENCE / "groups_by_name.pth")
    today = convert.load(REFERENCE / "checkpoint.pth")["optimizer"]["param_groups"]
    assert groups == today


@pytest.mark.parametrize(
    "name",
    [
        "torch._utils\n_rebuild_tensor_v3",
        "torch._utils\n_rebuild_sparse_tensor",
        "torch\nComplexFloatStorage",
        "torch.storage\nUntypedStorage",
    ],
)
def test_other_kinds_of_tensors_are_not_called_code(name, tmp_path):
    path = archive(tmp_path / "kind.pth", f"\x80\x02c{name}\n.".encode("latin-1"))
    message = "kind of tensor that is not supported .*" + name.replace("\n", ".")
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.load(path)
