import keras
import numpy as np
import pytest

import bt_keras


def test_equals_the_official_schedule_at_every_step(recorded):
    reference = recorded("schedule")
    for peak, rates in zip(reference["peaks"], reference["rates"].T, strict=True):
        schedule = bt_keras.WarmupCosine(
            float(peak),
            int(reference["warmup_steps"]),
            int(reference["total_steps"]),
            float(reference["floor"]),
        )
        result = np.array([float(schedule(step)) for step in reference["step"]])
        np.testing.assert_allclose(result, rates, rtol=1e-6)
        assert result[0] == 0
        assert result[-1] > peak * reference["floor"]


def test_stays_at_the_floor_after_the_end():
    schedule = bt_keras.WarmupCosine(2.0, 10, 100, floor=0.01)
    np.testing.assert_allclose([schedule(100), schedule(1000)], 0.02, rtol=1e-6)


def test_without_warm_up_the_first_rate_is_the_peak():
    assert float(bt_keras.WarmupCosine(2.0, 0, 100)(0)) == 2.0


def test_config_round_trip():
    schedule = bt_keras.WarmupCosine(2.0, 10, 100, floor=0.01)
    schedules = keras.optimizers.schedules
    restored = schedules.deserialize(schedules.serialize(schedule))
    assert restored.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    "arguments", [(0.0, 1, 9), (1.0, 10, 10), (1.0, -1, 10), (1.0, 1, 9, 1.5)]
)
def test_arguments_out_of_range_are_reported(arguments):
    with pytest.raises(bt_keras.UsageError, match=r"peak|warmup_steps|floor"):
        bt_keras.WarmupCosine(*arguments)


@pytest.mark.parametrize("argument", ["peak", "warmup_steps", "total_steps", "floor"])
def test_values_that_are_no_numbers_are_reported(argument):
    valid = {"peak": 1.0, "warmup_steps": 1, "total_steps": 9}
    for value in (float("nan"), float("inf"), -1, "1", None, True, [1], 1e39):
        with pytest.raises(bt_keras.UsageError, match=rf"^{argument}=[^\n]*$"):
            bt_keras.WarmupCosine(**(valid | {argument: value}))


def test_whole_floats_are_numbers_of_steps():
    schedule = bt_keras.WarmupCosine(np.float32(1), 100 / 10, np.int64(100))
    assert (schedule.warmup_steps, schedule.total_steps) == (10, 100)
