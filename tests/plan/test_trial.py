import numpy as np
import pytest

from bt_keras import data
from bt_keras.plan import images, trial
from bt_keras.plan.images import Images
from bt_keras.training import setup


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 0.1)


def test_a_trial_of_images_has_the_first_loss_of_the_run(config):
    found = images.find(config)
    measured = trial.run(setup.new_model(config, 2), config, 8, found)
    pairs = data.pairs(found.source, found.views, 8, config.seed)
    history = setup.new_model(config, 2).fit(pairs.take(1), verbose=0).history
    np.testing.assert_allclose(measured.first_loss, history["loss"][0], rtol=1e-5)
    assert measured.of_images
    assert measured.rows == 8
    assert measured.seconds > 0
    assert 0 <= measured.waiting <= 1


def test_a_trial_without_images_has_random_views(config):
    config.steps_per_execution = 2
    model = setup.new_model(config, 2)
    before = model.get_weights()
    measured = trial.run(model, config, 4, Images(100, "as given"))
    assert not measured.of_images
    assert np.isfinite(measured.first_loss)
    assert model.optimizer.iterations >= 8  # At least 4 executions.
    assert not np.array_equal(model.get_weights()[0], before[0])
