"""Modules that are damaged in one place: one line in every command, and no crash."""

import json
import shutil

import pytest

import bt_keras
from bt_keras.cli import main
from bt_keras.export import verify
from tests.cli.commands import one_error_line

GRAPH, INDEX = "saved_model.pb", "variables/variables.index"
DATA = "variables/variables.data-00000-of-00001"
FACTS = "assets.extra/bt_keras.json"
FILES = (GRAPH, INDEX, DATA, FACTS)


def empty(path):
    path.write_bytes(b"")


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


WAYS = (lambda path: path.unlink(), empty, halve, flip, replace_by_folder)
NAMES = ("removed", "empty", "halved", "flipped", "a folder")


@pytest.fixture
def module(exported, tmp_path):
    return shutil.copytree(exported.folder, tmp_path / "module")


def loaders(module):
    yield bt_keras.load_backbone
    yield bt_keras.hub.read_backbone


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", WAYS, ids=NAMES)
def test_a_damaged_file_is_found_before_anything_is_loaded(
    module, capsys, damage, name
):
    damage(module / name)
    for load in loaders(module):
        with pytest.raises(bt_keras.UsageError, match=r"module .*module") as error:
            load(module)
        assert "\n" not in str(error.value)
    one_error_line(capsys, ["evaluate", f"--module={module}", "--source=x"], "module")


@pytest.mark.parametrize(
    ("content", "passes"),
    [(b"", False), (b"\xff\xfe", False), (b"one line", False), (None, True)],
)
def test_a_damaged_list_of_checksums(module, content, passes):
    (module / "SHA256SUMS").unlink()
    if content is not None:
        (module / "SHA256SUMS").write_bytes(content)
    for load in loaders(module):
        if passes:
            load(module)
        else:
            with pytest.raises(bt_keras.UsageError, match="SHA256SUMS"):
                load(module)


def test_another_card_and_other_images_do_not_matter(module):
    (module / "README.md").write_text("# My network\n")
    (module / "assets.extra" / "sample-00.png").unlink()
    for load in loaders(module):
        load(module)


@pytest.mark.parametrize(
    "fields",
    [
        {"architecture": {"class_name": "Functional"}},
        {"architecture": []},
        {"config": "x"},
        {"config": {"data": 3}},
        {"config": {"batch_size": "x"}},
        {"image_size": "huge", "config": None},
        {"image_size": -3, "config": None},
        {"resize_ratio": "x"},
        {"input_shape": 3},
        {"variables": {}},
    ],
    ids=str,
)
def test_facts_of_other_types_are_one_line(module, capsys, fields):
    """As written by another program, which has no SHA256SUMS."""
    (module / "SHA256SUMS").unlink()
    facts = json.loads((module / FACTS).read_text())
    (module / FACTS).write_text(json.dumps(facts | fields))
    arguments = ["evaluate", f"--module={module}", "--source=nowhere"]
    one_error_line(capsys, arguments, f"module {module}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FILES, "assets.extra/sample.npz"])
@pytest.mark.parametrize("damage", WAYS, ids=NAMES)
def test_verification_fails_a_check(module, capsys, damage, name):
    damage(module / name)
    status = main(["export", f"--verify={module}", "--trust"])
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert (status, len(lines)) in ((1, 0), (2, 1)), printed
    if status == 1:
        assert "DIFFERS" in printed.out
    else:
        assert all(line.startswith("bt-keras: error: ") for line in lines)


def test_a_damaged_module_is_not_published(module, capsys):
    (module / FACTS).write_text("{}")
    command = ["export", f"--out={module}", "--publish=kaggle", "--dry_run"]
    command += ["--handle=me/barlow/tensorFlow2/demo"]
    one_error_line(capsys, command, "fields are missing")


def test_the_checks_of_a_module_whose_arrays_are_incomplete(exported, tmp_path):
    module = shutil.copytree(exported.folder, tmp_path / "module")
    facts = json.loads((module / FACTS).read_text())
    facts["strides"] = [2, *facts["strides"]]
    (module / FACTS).write_text(json.dumps(facts))
    checks = verify.verify(module, trust=True)
    assert not all(check.passed for check in checks)
