"""Files made to fill the memory, to last for ever, or to end in a traceback.

Each is made by hand, and refused at once, in one line that gives the reason.
"""

import copy
import time
import zipfile

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from bt_keras.convert.pth import unpickler, writer
from tests.conftest import REFERENCE
from tests.convert.archives import archive
from tests.reference import weights

START = b"\x80\x02"
LIST, TUPLE = (b"](", b"e"), (b"(", b"t")
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = writer._str("storage") + b"ctorch\nFloatStorage\n"
LONG = b"\x8b" + (5000).to_bytes(4, "little") + b"\x7f" * 5000  # 5,000 bytes
SEVERAL = b"(" + b"N" * 99 + b"t"


def doubled(kind=LIST, levels=60):
    """Puts on the stack: each part holds the one before it twice, 2^60 in all."""
    opening, closing = kind
    parts = [b")q\x00"]
    for level in range(1, levels):
        twice = 2 * (b"h" + bytes([level - 1]))
        parts.append(opening + twice + closing + b"q" + bytes([level]))
    return b"".join(parts)


def tensor(count, *arguments, key="0"):
    """Puts a float32 tensor on the stack, of a storage of so many."""
    numbers = writer._str(key) + writer._str("cpu") + writer._int(count)
    storage = b"(" + STORAGE + numbers + b"tQ"
    return TENSOR + b"(" + storage + b"".join(arguments) + b"tR"


def place(shape, strides):
    """The arguments of a tensor after its storage."""
    ints = [b"".join(map(writer._int, numbers)) for numbers in (shape, strides)]
    return writer._int(0) + b"(" + ints[0] + b"t(" + ints[1] + b"t\x89N"


def refused(path, message, read=convert.load):
    """At once, and in one line."""
    start = time.monotonic()
    with pytest.raises(bt_keras.UsageError, match=message) as error:
        read(path)
    assert time.monotonic() - start < 5
    text = str(error.value)
    assert text.isprintable()
    assert str(path) in text
    assert len(text) < len(str(path)) + 1000


PROGRAMS = {
    "deep key": (b"})" + b"\x85" * 200_000 + b"Ns", "a tuple as the key of a dict"),
    "wide key": (doubled(TUPLE) + b"}h\x3bNs", "a tuple as the key of a dict"),
    "keys": (doubled(TUPLE) + b"}(h\x3bNu", "a tuple as the key of a dict"),
    "name as key": (b"}ctorch\nFloatStorage\nNs", "a Name as the key of a dict"),
    "bytes as key": (b"}C\x01aNs", "a bytes as the key of a dict"),
    "large key": (
        b"}" + writer._int(2**61 - 1) + b"Ns",
        "too large an int as the key of a dict",
    ),
    "dict of": (b"ccollections\nOrderedDict\n]\x85R", "takes 0 positional arguments"),
    "size of": (b"ctorch\nSize\n]\x85R", "list where tuple should be"),
    "sizes": (b"ctorch\nSize\n))\x86R", "takes 1 positional argument but 2"),
    "many arguments": (
        b"ctorch._utils\n_rebuild_parameter\n" + SEVERAL + b"R",
        "is called with 99 arguments",
    ),
    "no constructor": (b"ctorch\nFloatStorage\n)R", "Storage is called with 0 arg"),
    "no storage": (TENSOR + b"(NK\x00))tR", "NoneType where Storage should be"),
    "no place": (TENSOR + b"(NNNNtR", "NoneType where tuple should be"),
    "few arguments": (TENSOR + b")R", "missing 4 required positional arguments"),
    "lists as place": (tensor(1, b"K\x00", b"]]"), "list where tuple should be"),
    "no tensor": (
        b"ctorch._utils\n_rebuild_parameter\nN\x85R",
        "NoneType where StoredTensor should be",
    ),
    "list as name": (doubled() + b"\x8c\x01ah\x3b\x93", "list where str should be"),
    "list as module": (doubled() + b"h\x3b\x8c\x01a\x93", "list where str should be"),
    "kind": (doubled() + b"(h\x3bNNNNtQ", "list where str should be"),
    "count": (
        doubled() + b"(" + STORAGE + b"\x8c\x010\x8c\x03cpuh\x3btQ",
        "list where int should be",
    ),
    "long int": (LONG, "an int of 39999 bits"),
    "long count": (
        b"(" + STORAGE + b"\x8c\x010\x8c\x03cpu" + LONG + b"tQ",
        "an int of 39999 bits",
    ),
    "nested": (b"](" * 5000 + b"e" * 5000, "nested too deeply"),
    "expanded": (
        tensor(1, place((16384, 3, 7, 7), (0, 0, 0, 0))),
        "a tensor of more elements than the 1 of its storage",
    ),
    "many axes": (tensor(1, place((1,) * 99, (1,) * 99)), "or too many"),
    "shared": (
        b"](" + tensor(1000, place((1000,), (1,))) * 50 + b"e",
        "the same few numbers over and over",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_pickles_that_ask_for_too_much(name, tmp_path):
    program, message = PROGRAMS[name]
    path = archive(tmp_path / "bad.pth", START + program + b".", [bytes(4000)])
    refused(path, f"damaged .*({message})")
    # The same in the older format.
    start = (REFERENCE / "tensors_stream.pth").read_bytes()[:137]
    path.write_bytes(start + START + program + b"." + START + b"].")
    if name in ("expanded", "shared"):  # Said before any number is read.
        message = "its list of storages is not that of its tensors"
    refused(path, f"damaged .*({message})")


def test_endless_pickles(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickler, "_MOST_OPCODES", 1000)
    path = archive(tmp_path / "bad.pth", START + b"}" * 2000 + b".")
    refused(path, "more than 1000 steps")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (doubled(), "a stream of version list"),
        (b"]" + b"](" * 5000 + b"e" * 5000, "a stream of version list"),
        (doubled(TUPLE), "a stream of version tuple"),
        (LONG, "an int of 39999 bits"),
        (b"K\x07", "a stream of version 7, not 1001"),
    ],
)
def test_versions_of_streams(version, message, tmp_path):
    magic = START + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    (tmp_path / "bad.pth").write_bytes(magic + START + version + b".")
    refused(tmp_path / "bad.pth", message)


@pytest.mark.parametrize(
    "keys",
    [doubled(), b"](" + doubled() + b"e", b"N", b"]K\x01a", b"}", LIST[0] + b"NNe"],
)
def test_keys_of_streams(keys, tmp_path):
    start = (REFERENCE / "tensors_stream.pth").read_bytes()[:137]
    path = tmp_path / "bad.pth"
    path.write_bytes(start + START + b"N." + START + keys + b".")
    refused(path, "its list of storages is not that of its tensors")


def test_zip_members_that_overlap(tmp_path):
    path = tmp_path / "bad.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", START + b"}.")
        file.writestr("archive/data/0", bytes(100_000))
        for number in range(1, 50):
            member = copy.copy(file.getinfo("archive/data/0"))
            member.filename = f"archive/data/{number}"
            file.filelist.append(member)
    refused(path, "its members are larger than the file")


def test_a_list_is_no_array(tmp_path):
    name = writer._str("conv1.weight")
    program = START + doubled() + b"}" + name + b"h\x3bs."
    path = archive(tmp_path / "bad.pth", program)
    refused(path, "'conv1.weight' is of list, not an array", convert.from_torch)


def test_a_small_file_makes_no_large_network(tmp_path):
    state = weights.resnet_state(18, 1, 1)
    state["conv1.weight"] = np.zeros((9000, 1, 7, 7), np.float32)
    path = tmp_path / "bad.pth"
    convert.save(path, state)
    refused(path, r"layer4\.1\.conv2\.weight is \(8, 8, 3, 3\)", convert.from_torch)
    del state["layer4.1.conv2.weight"]
    path.unlink()
    convert.save(path, state)
    refused(path, r"missing layer4\.1\.conv2\.weight", convert.from_torch)
    whole = weights.barlow_twins_state(18, (4, 4), width=1)
    whole["projector.0.weight"] = np.zeros((10_000, 1), np.float32)
    path.unlink()
    convert.save(path, whole)
    refused(path, r"projector\.0\.weight is \(10000, 1\)", convert.from_torch)


def test_names_are_printed_safely(tmp_path):
    state = weights.resnet_state(18, 1, 1)
    path = tmp_path / "bad.pth"
    convert.save(path, {**state, "\x1b[2J\n" + "x" * 1_000_000: np.zeros(2)})
    refused(path, r"left over '\\x1b\[2J\\nxxx", convert.from_torch)
    path.unlink()
    convert.save(path, {"\x1b[2J" + "x" * 1_000_000: np.zeros(2)})
    refused(path, r"the first names are '\\x1b\[2Jxxx", convert.from_torch)
    path.unlink()
    convert.save(path, {"\x1b[2J" + "x" * 1_000_000: "text"})
    refused(path, r"'\\x1b\[2Jx+' is of <U4", convert.from_torch)
    archive(path, b"\x80\x02c\x1b[2J" + b"x" * 100_000 + b"\ny\n.")
    refused(path, r"asks for \?\[2Jxxx")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"params": [[0]] * 23}, "missing the momentum of backbone.conv1.weight"),
        ({"params": {}}, "0 parameters in group 0 instead of 23"),
        ({"params": ["0"] * 23}, "missing the momentum of backbone.conv1.weight"),
        ({"lr": 10**400}, "'lr' is not one of a training"),
        ({"lr": float("nan")}, "'lr' is not one of a training"),
        ({"lr": -1.0}, "'lr' is not one of a training"),
        ({"weight_decay": float("inf")}, "'weight_decay' is not one of a training"),
        ({"momentum": 2.0}, "momentum=2.0 must lie in"),
    ],
)
def test_groups_of_an_optimizer(spoil, message):
    contents = dict(convert.load(REFERENCE / "checkpoint.pth"))
    first, second = contents["optimizer"]["param_groups"]
    contents["optimizer"] = {
        **contents["optimizer"],
        "param_groups": [{**first, **spoil}, second],
    }
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.from_torch(contents)
