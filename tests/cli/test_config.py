"""`bt-keras config`, and the fields in manual pages."""

import json
import re

import pytest

from bt_keras import config as config_lib
from bt_keras.cli import main
from tests.cli.commands import one_error_line


def printed(capsys, *arguments):
    assert main(["config", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_config_with_overrides_is_printed_with_all_fields(capsys):
    config = printed(
        capsys, "--config=demo", "--config.views.size=64", "--config.projector=(8, 8)"
    )
    expected = json.loads(config_lib.load("demo").to_json())
    expected["views"]["size"], expected["projector"] = 64, [8, 8]
    assert config == expected


def test_a_run_has_the_config_that_is_printed_before_it(run, recipe, capsys):
    before = printed(capsys, f"--config={recipe}")
    assert before == json.loads((run / "config.json").read_text())
    assert before == printed(capsys, f"--workdir={run}")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["give one of --config", "--workdir"]),
        (["--config=demo", "--workdir=x"], ["not both"]),
        (["--config=dmo"], ["dmo", "demo"]),
        (["--workdir=nowhere"], ["nowhere", "holds no run"]),
        (["--config=demo", "--config.bach_size=1"], ["batch_size"]),
        (["--config=demo", "--config.epochs=0"], ["config.epochs is 0"]),
        (["--config=demo", "--strategy=one"], ["strategy"]),
    ],
    ids=lambda value: " ".join(value[-1:]),
)
def test_errors_are_one_line(capsys, flags, parts):
    one_error_line(capsys, ["config", *flags], *parts)


@pytest.mark.parametrize("command", ["pretrain", "config"])
def test_the_manual_lists_every_field_with_a_value_that_can_be_given(capsys, command):
    assert main([command, "--help"]) == 0
    manual = capsys.readouterr().out
    default = config_lib.fields(config_lib.default())
    shown = re.findall(r"^    --config\.([\w.]+)=", manual, re.M)
    # Sections without fields have no value.
    assert sorted(shown) == sorted(f for f, value in default.items() if value != {})
    assert "\n    config.views.b\n" in manual
    assert shown.index("seed") < shown.index("data.source") < shown.index("views.size")
    assert "\n        Determines the initial weights" in manual
    # As typed, these values give the same config.
    given = re.findall(r"^    (--config\.(?:seed|lambd)=.*)$", manual, re.M)
    assert printed(capsys, "--config=default", *given) == json.loads(
        config_lib.default().to_json()
    )
