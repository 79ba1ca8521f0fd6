"""results.csv: old files, new files, and writes that fail."""

import csv
import errno
import os
import subprocess
import sys

import pytest

from bt_keras import UsageError
from bt_keras.evaluation import results
from bt_keras.evaluation.results import COLUMNS, Result
from bt_keras.evaluation.settings import parse_legacy_settings

RESULTS = [
    Result(
        "knn", "top1", 0.5, 128, {"k": 200, "temperature": 0.1}, None, "a", "4", "x"
    ),
    Result("linear", "top1", 0.25, 128, {"epochs": 5}, 3, "a", "4", "x"),
    Result(
        "alignment", "loss", -1.5, 99, {"mode": "a, b", "norm": True}, 0, "b", "0", "x"
    ),
]
# Written before settings were JSON, with the csv module's line ends.
LEGACY = (
    "backbone,epoch,evaluator,source,settings,metric,value,test_images\r\n"
    'pretrained,4,knn,shipped,"k=200, temperature=0.1",top1,0.421875,128\r\n'
    "pretrained,4,linear_cached,shipped,5 epochs,top1,0.46875,128\r\n"
    'scratch,0,finetune,shipped,"labels=10%, images=51, seed=2, 400 steps",top1,'
    "0.5703125,128\r\n"
)
LEGACY_RESULTS = [
    Result(
        *("knn", "top1", 0.421875, 128, {"k": 200, "temperature": 0.1}),
        *(None, "pretrained", "4", "shipped"),
    ),
    Result(
        *("linear_cached", "top1", 0.46875, 128, {"epochs": 5}),
        *(None, "pretrained", "4", "shipped"),
    ),
    Result(
        *("finetune", "top1", 0.5703125, 128),
        {"label_share": 0.1, "images": 51, "steps": 400},
        *(2, "scratch", "0", "shipped"),
    ),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.csv"


def test_the_file_is_utf8_whatever_the_locale(path):
    results.append(path, [Result("knn", "top1", 0.5, 128, source="f\xfcnf")])
    code = "import sys, pathlib; from bt_keras.evaluation import results; "
    code += "print(ascii(results.read(pathlib.Path(sys.argv[1]))[0].source))"
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    printed = subprocess.run(
        [sys.executable, "-c", code, path],
        env=os.environ | ascii_only,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed == "'f\\xfcnf'\n"


def test_what_is_appended_is_read(path):
    assert results.read(path) == []
    results.append(path, RESULTS[:1])
    results.append(path, RESULTS[1:])
    assert results.read(path) == RESULTS
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    assert len(rows) == 4


@pytest.mark.parametrize("cut", [0, 2], ids=["whole", "without the last line end"])
def test_an_old_file_is_read_and_its_lines_are_kept(path, cut):
    old = LEGACY[: len(LEGACY) - cut].encode()
    path.write_bytes(old)
    assert results.read(path) == LEGACY_RESULTS
    results.append(path, RESULTS)
    assert path.read_bytes().startswith(old)
    assert results.read(path) == LEGACY_RESULTS + RESULTS


@pytest.mark.parametrize("text", ["", "k", "k=", "k=1=2", "many epochs", "labels=ten%"])
def test_other_legacy_settings_are_errors(text):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_legacy_settings(text)


@pytest.mark.parametrize(
    "line",
    [
        "pretrained,4,knn,shipp",
        "pretrained,4,knn,shipped,k=1,top1,high,128",
        "pretrained,4,knn,shipped,k=1,top1,0.5,128,0.6",
        'pretrained,4,knn,shipped,"{""k"": ",top1,0.5,128',
    ],
    ids=["half a line", "no number", "one and a half lines", "half a JSON object"],
)
def test_a_damaged_line_is_named(path, line):
    path.write_text(LEGACY + line + "\r\n", newline="")
    with pytest.raises(UsageError, match=r"results\.csv, line 5"):
        results.read(path)


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    results.append(path, RESULTS)
    before = path.read_bytes()

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(results.os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        results.append(path, RESULTS)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "half", ['a,4,knn,x,"{""k"": 2', "a,4,knn,x,{},top1,0.5", "a,4,knn,x,{},top1,0.5,"]
)
def test_half_a_line_at_the_end_is_dropped_and_nothing_is_glued_to_it(
    path, half, caplog
):
    results.append(path, RESULTS[:1])
    with path.open("a") as file:
        file.write(half)
    assert results.read(path) == RESULTS[:1]
    assert "the last line is incomplete" in caplog.text
    results.append(path, RESULTS[1:])
    assert results.read(path) == RESULTS


@pytest.mark.parametrize("content", [b"", b"backbone,epo"])
def test_a_file_without_a_header_gets_one(path, content):
    path.write_bytes(content)
    assert results.read(path) == []
    results.append(path, RESULTS)
    assert results.read(path) == RESULTS
