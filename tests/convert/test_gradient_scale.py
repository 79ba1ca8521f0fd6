"""Learning rates, and the scale between the official gradients and ours."""

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from bt_keras.convert import gradient_scale, name_map
from tests.conftest import REFERENCE

CHECKPOINT = REFERENCE / "checkpoint.pth"
ONE_GROUP = REFERENCE / "checkpoint_one_group.pth"


@pytest.mark.parametrize(
    ("path", "replicas", "scale", "bias_rate"),
    [
        (CHECKPOINT, 1, 1, 0.0048),
        (CHECKPOINT, 16, 16, 0.0003),
        (ONE_GROUP, 16, 16 / 0.024, 0.0003),
    ],
)
def test_optimizer_has_the_settings_of_the_file(path, replicas, scale, bias_rate):
    optimizer = convert.from_torch(path, replicas).optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.2)
    assert float(optimizer.bias_learning_rate) == pytest.approx(bias_rate)
    assert optimizer.momentum == 0.9
    assert optimizer.coupled_weight_decay == pytest.approx(1e-6 * scale)
    assert optimizer.trust_coefficient == 1e-3


def scaled_momentum(optimizer, index):
    """Learning rate times momentum of a parameter in a checkpoint."""
    for group in optimizer["param_groups"]:
        if index in group["params"]:
            return group["lr"] * optimizer["state"][index]["mu"]
    raise KeyError(index)


@pytest.mark.parametrize("path", [CHECKPOINT, ONE_GROUP])
def test_steps_have_equal_length(path):
    """Learning rate times momentum: in the file, in Keras and converted back."""
    theirs = convert.load(path)["optimizer"]
    model = convert.from_torch(path)
    indices = iter(i for group in theirs["param_groups"] for i in group["params"])
    parameters = [v for v in name_map.map_variables(model) if v.is_parameter]
    if len(theirs["param_groups"]) == 2:
        parameters.sort(key=lambda v: len(v.shape) == 1)
    back = convert.to_checkpoint(model, 3)["optimizer"]
    parameters_back = sorted(parameters, key=lambda v: len(v.shape) == 1)
    momenta = dict(
        zip(map(id, model.trainable_variables), model.optimizer.momenta, strict=True)
    )
    rates = {True: model.optimizer.bias_learning_rate, False: 0.2}
    for parameter in parameters:
        expected = scaled_momentum(theirs, next(indices))
        ours = parameter.to_torch(momenta[id(parameter.variable)])
        ours = ours * rates[len(parameter.shape) == 1]
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
        np.testing.assert_allclose(
            scaled_momentum(back, parameters_back.index(parameter)), expected, rtol=1e-6
        )
    assert [g["lr"] for g in back["param_groups"]] == pytest.approx([0.2, 0.0048])


def test_invalid_replicas():
    with pytest.raises(bt_keras.UsageError, match="replicas=0 must be greater"):
        convert.from_torch(CHECKPOINT, replicas=0)


@pytest.mark.parametrize(
    ("rates", "scale"),
    [
        ((0.2, 0.0048), 16),
        ((0.1, 0.0024), 16),
        ((0.2, 0.0096), 32),
        ((0.2,), 2000 / 3),
        ((0.0,), 2000 / 3),
        ((0.0, 0.0), 16),
        ((None, None), 16),
        ((), 16),
    ],
)
def test_scale_from_rates(rates, scale):
    state = {
        "param_groups": [{"lr": rate} if rate is not None else {} for rate in rates]
    }
    assert gradient_scale.scale_from_rates(state, 0.0003 / 0.2) == pytest.approx(scale)


def test_rates_of_schedules_at_the_current_step():
    model = convert.from_torch(CHECKPOINT)
    rates = [bt_keras.WarmupCosine(peak, 10, 20) for peak in (1.0, 0.5)]
    model.compile(optimizer=bt_keras.LARS(rates[0], rates[1]))
    model.optimizer.iterations.assign(5)
    assert rates_back(model) == pytest.approx([0.5, 0.5 * 0.024])
    model.compile(optimizer=bt_keras.LARS(0.25))
    assert rates_back(model) == pytest.approx([0.25, 0.25 * 0.024])
    model.compile(optimizer=bt_keras.LARS(bt_keras.WarmupCosine(1.0, 10, 20)))
    assert rates_back(model) == [0, 0]  # Before the first step.


def rates_back(model):
    saved = convert.to_checkpoint(model, 1)["optimizer"]
    return [group["lr"] for group in saved["param_groups"]]
