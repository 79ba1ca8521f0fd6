"""Measured statistics of a run: measured once, kept in its config.json."""

import numpy as np
import pytest

from bt_keras import config as config_lib
from bt_keras.data import load, measure
from bt_keras.data.from_config import statistics
from bt_keras.errors import UsageError
from bt_keras.training.statistics import with_measured
from bt_keras.workdir import Workdir
from tests import tiny


@pytest.fixture
def config(tmp_path):
    source = tiny.write_images(tmp_path / "images")
    config = config_lib.load(tiny.write_config(tmp_path / "config.py", source))
    config.data.statistics = "measured"
    return config


def test_a_run_keeps_what_it_measured(config, tmp_path, capsys):
    workdir = Workdir(tmp_path / "run")
    measured = with_measured(config, workdir)
    assert statistics(measured) == measure(load(config.data.source))
    assert "of 18 images" in capsys.readouterr().out
    assert config.data.mean[0] == 0.485
    workdir.claim(measured)
    assert statistics(workdir.config()) == statistics(measured)
    # Other images later do not change the run.
    tiny.write_images(tmp_path / "others", classes=("light",))
    config.data.source = str(tmp_path / "others")
    again = with_measured(config, workdir)
    assert statistics(again) == statistics(measured)
    assert not capsys.readouterr().out


def test_the_same_command_resumes_and_other_statistics_do_not(config, tmp_path):
    workdir = Workdir(tmp_path / "run")
    workdir.claim(with_measured(config, workdir))
    workdir.check_config(config)
    config.data.statistics = "given"
    with pytest.raises(UsageError, match=r"data\.mean is .*data\.statistics is measur"):
        workdir.check_config(config)
    assert with_measured(config, workdir) is config


def test_a_batch_that_does_not_fit_is_refused_before_measuring(config, tmp_path):
    config.batch_size = 1000
    with pytest.raises(UsageError, match="batch_size is 1000"):
        with_measured(config, Workdir(tmp_path / "run"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("channels", 17, "must be an integer in [1, 16]"),
        ("channels", 5, "config.data.mean has 3 numbers, but config.data.channels is"),
        ("mean", (0.5,), "config.data.mean has 1 numbers"),
        ("mean", (128.0, 128.0, 128.0), "a list of numbers, each a number in [0, 1]"),
        ("deviation", (0.2, 0.2, 0.0), "a list of numbers, each a finite number > 0"),
        ("statistics", "median", "'median', not one of given, measured"),
    ],
)
def test_fields_that_do_not_fit_are_refused(field, value, message):
    config = config_lib.default()
    config.data[field] = value
    with pytest.raises(UsageError) as error:
        config_lib.check(config)
    assert message in str(error.value)


def test_statistics_of_json_are_those_of_the_default():
    config = config_lib.from_json(config_lib.to_json(config_lib.default()))
    np.testing.assert_array_equal(
        statistics(config), [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)]
    )
