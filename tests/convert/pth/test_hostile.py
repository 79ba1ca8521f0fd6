"""Malicious files: small files that would need huge memory or time, or crash.

Each is built by hand and must be rejected with one line that gives the reason.
"""

import copy
import zipfile

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from bt_keras.convert.pth import unpickler, writer
from tests.conftest import REFERENCE
from tests.convert.pth.pickles import START, TENSOR, archive, stream_start, tensor, view
from tests.reference import weights

LIST, TUPLE = (b"](", b"e"), (b"(", b"t")
STORAGE = writer._str("storage") + b"ctorch\nFloatStorage\n"
LONG = b"\x8b" + (5000).to_bytes(4, "little") + b"\x7f" * 5000  # 5,000 bytes
MANY_ARGUMENTS = b"(" + b"N" * 99 + b"t"


def doubled(kind=LIST, levels=60):
    """Opcodes that push nested lists, each with the previous one twice: 2^60 items."""
    opening, closing = kind
    parts = [b")q\x00"]
    for level in range(1, levels):
        twice = 2 * (b"h" + bytes([level - 1]))
        parts.append(opening + twice + closing + b"q" + bytes([level]))
    return b"".join(parts)


def assert_rejected(path, message, read=convert.load):
    """Checks that the file is reported in one short line."""
    with pytest.raises(bt_keras.UsageError, match=message) as error:
        read(path)
    text = str(error.value)
    assert text.isprintable()
    assert str(path) in text
    assert len(text) < len(str(path)) + 1000


PROGRAMS = {
    "deep key": (b"})" + b"\x85" * 200_000 + b"Ns", "a dict key of type tuple"),
    "wide key": (doubled(TUPLE) + b"}h\x3bNs", "a dict key of type tuple"),
    "keys": (doubled(TUPLE) + b"}(h\x3bNu", "a dict key of type tuple"),
    "name as key": (b"}ctorch\nFloatStorage\nNs", "a dict key of type Name"),
    "bytes as key": (b"}C\x01aNs", "a dict key of type bytes"),
    "large key": (
        b"}" + writer._int(2**61 - 1) + b"Ns",
        "an int dict key that is too large",
    ),
    "dict of": (b"ccollections\nOrderedDict\n]\x85R", "takes 0 positional arguments"),
    "size of": (b"ctorch\nSize\n]\x85R", "expected tuple, found list"),
    "sizes": (b"ctorch\nSize\n))\x86R", "takes 1 positional argument but 2"),
    "many arguments": (
        b"ctorch._utils\n_rebuild_parameter\n" + MANY_ARGUMENTS + b"R",
        "called with 99 arguments",
    ),
    "no constructor": (b"ctorch\nFloatStorage\n)R", "Storage called with 0 arg"),
    "no storage": (TENSOR + b"(NK\x00))tR", "expected Storage, found NoneType"),
    "no view": (TENSOR + b"(NNNNtR", "expected tuple, found NoneType"),
    "few arguments": (TENSOR + b")R", "missing 4 required positional arguments"),
    "lists as view": (tensor(1, b"K\x00", b"]]"), "expected tuple, found list"),
    "no tensor": (
        b"ctorch._utils\n_rebuild_parameter\nN\x85R",
        "expected StoredTensor, found NoneType",
    ),
    "list as name": (doubled() + b"\x8c\x01ah\x3b\x93", "expected str, found list"),
    "list as module": (doubled() + b"h\x3b\x8c\x01a\x93", "expected str, found list"),
    "kind": (doubled() + b"(h\x3bNNNNtQ", "expected str, found list"),
    "count": (
        doubled() + b"(" + STORAGE + b"\x8c\x010\x8c\x03cpuh\x3btQ",
        "expected int, found list",
    ),
    "long int": (LONG, "an int of 39999 bits"),
    "long count": (
        b"(" + STORAGE + b"\x8c\x010\x8c\x03cpu" + LONG + b"tQ",
        "an int of 39999 bits",
    ),
    "nested": (b"](" * 5000 + b"e" * 5000, "nested too deeply"),
    "expanded": (
        tensor(1, view((16384, 3, 7, 7), (0, 0, 0, 0))),
        "a tensor with more elements than its storage of 1",
    ),
    "many axes": (tensor(1, view((1,) * 99, (1,) * 99)), "more than 64 axes"),
    "shared": (
        b"](" + tensor(1000, view((1000,), (1,))) * 50 + b"e",
        "too many tensors share the same elements",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_malicious_pickles(name, tmp_path):
    program, message = PROGRAMS[name]
    path = archive(tmp_path / "bad.pth", START + program + b".", [bytes(4000)])
    assert_rejected(path, f"damaged .*({message})")
    # The same pickle in the stream format.
    start = stream_start()
    path.write_bytes(start + START + program + b"." + START + b"].")
    if name in ("expanded", "shared"):  # Reported before elements are read.
        message = "the list of storages does not match the tensors"
    assert_rejected(path, f"damaged .*({message})")


def test_pickles_with_too_many_opcodes(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickler, "_MAX_OPCODES", 1000)
    path = archive(tmp_path / "bad.pth", START + b"}" * 2000 + b".")
    assert_rejected(path, "more than 1000 opcodes")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (doubled(), "stream format version list"),
        (b"]" + b"](" * 5000 + b"e" * 5000, "stream format version list"),
        (doubled(TUPLE), "stream format version tuple"),
        (LONG, "an int of 39999 bits"),
        (b"K\x07", "stream format version 7 instead of 1001"),
    ],
)
def test_stream_versions(version, message, tmp_path):
    magic = START + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    (tmp_path / "bad.pth").write_bytes(magic + START + version + b".")
    assert_rejected(tmp_path / "bad.pth", message)


@pytest.mark.parametrize(
    "keys",
    [doubled(), b"](" + doubled() + b"e", b"N", b"]K\x01a", b"}", LIST[0] + b"NNe"],
)
def test_stream_storage_keys(keys, tmp_path):
    start = stream_start()
    path = tmp_path / "bad.pth"
    path.write_bytes(start + START + b"N." + START + keys + b".")
    assert_rejected(path, "the list of storages does not match the tensors")


def test_overlapping_zip_members(tmp_path):
    path = tmp_path / "bad.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", START + b"}.")
        file.writestr("archive/data/0", bytes(100_000))
        for number in range(1, 50):
            member = copy.copy(file.getinfo("archive/data/0"))
            member.filename = f"archive/data/{number}"
            file.filelist.append(member)
    assert_rejected(path, "the members are larger than the file")


def test_nested_list_in_place_of_array(tmp_path):
    name = writer._str("conv1.weight")
    program = START + doubled() + b"}" + name + b"h\x3bs."
    path = archive(tmp_path / "bad.pth", program)
    assert_rejected(path, "'conv1.weight' is a list, not an array", convert.from_torch)


def test_small_file_does_not_build_large_network(tmp_path):
    state = weights.resnet_state(18, 1, 1)
    state["conv1.weight"] = np.zeros((9000, 1, 7, 7), np.float32)
    path = tmp_path / "bad.pth"
    convert.save(path, state)
    assert_rejected(path, r"conv2\.weight has shape \(8, 8, 3, 3\)", convert.from_torch)
    del state["layer4.1.conv2.weight"]
    path.unlink()
    convert.save(path, state)
    assert_rejected(path, r"missing layer4\.1\.conv2\.weight", convert.from_torch)
    state = weights.barlow_twins_state(18, (4, 4), width=1)
    state["projector.0.weight"] = np.zeros((10_000, 1), np.float32)
    path.unlink()
    convert.save(path, state)
    assert_rejected(
        path, r"projector\.0\.weight has shape \(10000, 1\)", convert.from_torch
    )


def test_messages_escape_and_shorten_names(tmp_path):
    state = weights.resnet_state(18, 1, 1)
    path = tmp_path / "bad.pth"
    convert.save(path, {**state, "\x1b[2J\n" + "x" * 1_000_000: np.zeros(2)})
    assert_rejected(path, r"unexpected '\\x1b\[2J\\nxxx", convert.from_torch)
    path.unlink()
    convert.save(path, {"\x1b[2J" + "x" * 1_000_000: np.zeros(2)})
    assert_rejected(path, r"the first names are '\\x1b\[2Jxxx", convert.from_torch)
    path.unlink()
    convert.save(path, {"\x1b[2J" + "x" * 1_000_000: "text"})
    assert_rejected(path, r"'\\x1b\[2Jx+' has type <U4", convert.from_torch)
    archive(path, b"\x80\x02c\x1b[2J" + b"x" * 100_000 + b"\ny\n.")
    assert_rejected(path, r"uses \?\[2Jxxx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": [[0]] * 23}, "missing momentum of backbone.conv1.weight"),
        ({"params": {}}, "0 parameters in group 0 instead of 23"),
        ({"params": ["0"] * 23}, "missing momentum of backbone.conv1.weight"),
        ({"lr": 10**400}, "'lr' must be finite and not negative"),
        ({"lr": float("nan")}, "'lr' must be finite and not negative"),
        ({"lr": -1.0}, "'lr' must be finite and not negative"),
        (
            {"weight_decay": float("inf")},
            "'weight_decay' must be finite and not negative",
        ),
        ({"momentum": 2.0}, "momentum=2.0 must be a number in"),
    ],
)
def test_malformed_parameter_groups(changes, message):
    contents = dict(convert.load(REFERENCE / "checkpoint.pth"))
    first, second = contents["optimizer"]["param_groups"]
    contents["optimizer"] = {
        **contents["optimizer"],
        "param_groups": [{**first, **changes}, second],
    }
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.from_torch(contents)
