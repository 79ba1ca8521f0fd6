import numpy as np
import pytest

from examples.detection import __main__ as command
from examples.detection import report


def run(*arguments):
    return command.run(*command.parse(["examples.detection", *arguments]))


@pytest.mark.slow
def test_the_whole_comparison(module, capsys):
    rows = run("--module", module, "--quick")
    assert [(row["init"], row["seed"]) for row in rows] == [
        ("random", 0),
        ("pretrained", 0),
    ]
    for row in rows:
        assert np.isfinite(row["losses"]).all()
        assert row["losses"][-1] < 0.9 * row["losses"][0]
        assert 0 <= row["AP"] <= row["AP50"] <= 1
    table = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[0] for line in table] == [
        "initialization",
        "random",
        "pretrained",
    ]


@pytest.mark.slow
def test_training_on_voc_from_tfds(module, voc, capsys):
    arguments = ["--module", module, "--data", voc, "--quick", "--init", "pretrained"]
    (row,) = run(*arguments, "--steps", "10")
    assert len(row["losses"]) == 10
    assert np.isfinite(row["losses"]).all()
    assert "pretrained, seed 0: AP " in capsys.readouterr().out


def test_the_table_has_mean_and_deviation():
    rows = [
        {"init": init, "AP": ap, "AP50": 2 * ap}
        for init, ap in [("random", 0.1), ("random", 0.2), ("pretrained", 0.3)]
    ]
    header, random, pretrained = (
        line.split("  ") for line in report.table(rows).split("\n")
    )
    cells = [[cell.strip() for cell in line if cell] for line in (random, pretrained)]
    assert cells == [
        ["random", "15.0 ± 7.1", "30.0 ± 14.1", "2"],
        ["pretrained", "30.0", "60.0", "1"],
    ]
    assert header[0] == "initialization"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--module is missing"),
        (["--module", "/nowhere"], "module /nowhere cannot be loaded"),
        (["--module", "{module}", "--size", "100"], "multiple of the last, not 100"),
        (["--module", "{module}", "--size", "32"], "use at least 64"),
        (["--module", "{module}", "--steps", "0"], "--steps=0"),
        (["--module", "{module}", "--seeds", "one"], "--seeds must be numbers"),
        (
            ["--module", "{module}", "--init", "zeros"],
            "--init must be random or pretrained",
        ),
        (["--module", "{module}", "--color", "red"], "flag 'color'"),
        (["--module", "{module}", "more"], "'more' is not a flag"),
        (["--module", "{module}", "--data", "tfds:vocc"], "did you mean 'tfds:voc'"),
        (["--module", "{module}", "--test_split", "night"], "no split 'night'"),
    ],
)
def test_bad_input_is_one_line(module, capsys, arguments, message):
    arguments = [argument.format(module=module) for argument in arguments]
    assert command.main(["examples.detection", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("examples.detection: error: ")
    assert message in line
