"""Non-finite losses, rollbacks, resuming and replicas in `pretrain`."""

import dataclasses

import numpy as np
import pytest

import bt_keras
from bt_keras import config as config_lib
from bt_keras.augmentation import Views
from bt_keras.checkpoint import store
from bt_keras.training import pretrain as pretrain_lib
from bt_keras.training import setup
from bt_keras.training.nonfinite import largest_activation
from tests import tiny
from tests.models import Subclass
from tests.models import tiny as tiny_model
from tests.poison import make_views as poison_views


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"), per_class=16)


@pytest.fixture
def config(images):
    """A run of two epochs with four steps each."""
    return config_lib.load(tiny.write_config(images / "tiny.py", images))


@pytest.fixture
def poison(monkeypatch):
    """`poison(steps)`: the batches with these numbers get non-finite views."""

    def install(steps):
        monkeypatch.setattr(setup, "make_views", poison_views(steps))

    return install


def test_a_non_finite_loss_is_reported_at_once(config, poison, tmp_path, capsys):
    poison([6])
    with pytest.raises(bt_keras.UsageError) as error:
        run(config, tmp_path)
    message = str(error.value)
    rate = config.optimizer.learning_rate * config.batch_size / 256
    peak_is_at = config.optimizer.warmup_epochs * 4
    shown = bt_keras.WarmupCosine(rate, peak_is_at, 8)(6)
    for part in (
        "step 7 (epoch 2)",
        f"learning rate of {float(shown):.4g}",
        "largest activation is nan, in layer conv1",
        "Suggested fixes",
        "--on_nan=rollback",
    ):
        assert part in message, part
    assert "\n" not in message
    progress, _ = store.find_newest(tmp_path / "checkpoints")
    assert progress.step == 4


def run(config, workdir, **kwargs):
    return pretrain_lib.pretrain(config, workdir, **kwargs)


@pytest.mark.slow
def test_step_and_views_are_traced_once(config, tmp_path, monkeypatch):
    steps, step = [], bt_keras.BarlowTwins.train_step
    monkeypatch.setattr(
        bt_keras.BarlowTwins,
        "train_step",
        lambda model, data: steps.append(1) or step(model, data),
    )
    views, crop = [], Views.crop
    monkeypatch.setattr(
        Views, "crop", lambda *args, **named: views.append(1) or crop(*args, **named)
    )
    config.epochs, config.optimizer.warmup_epochs = 1, 0.0
    run(config, tmp_path)
    assert (len(steps), len(views)) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("every_steps", [0, 1])
def test_a_rollback_skips_the_batches(config, poison, tmp_path, caplog, every_steps):
    poison([1, 6])
    config.checkpoint.every_steps = every_steps
    model = run(config, tmp_path, on_nan="rollback")
    assert all(np.all(np.isfinite(w)) for w in model.get_weights())
    progress, _ = store.find_newest(tmp_path / "checkpoints")
    # The batches from the last checkpoint to the bad one are skipped; with a
    # checkpoint at every step that is only the bad one.
    skipped = {0: 2 + 1, 1: 1 + 1}[every_steps]
    assert progress == dataclasses.replace(
        progress, step=8, batch=8 + skipped, rollbacks=2
    )
    assert caplog.text.count("Rolling back to step") == 2
    log = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["epoch", "0", "1"]
    assert "nan" not in "".join(log)


@pytest.mark.slow
def test_the_number_of_rollbacks_is_limited(config, poison, tmp_path):
    poison(list(range(2, 100)))
    config.checkpoint.max_rollbacks = 2
    with pytest.raises(bt_keras.UsageError, match="already rolled back 2 times"):
        run(config, tmp_path, on_nan="rollback")


@pytest.mark.slow
def test_steps_of_one_execution_are_named_together(config, poison, tmp_path):
    poison([5])
    config.steps_per_execution = 2
    with pytest.raises(bt_keras.UsageError, match="one of the steps 5 to 6"):
        run(config, tmp_path)


def test_an_unknown_choice_is_named(config, tmp_path):
    with pytest.raises(bt_keras.UsageError, match="on_nan=ignore"):
        run(config, tmp_path, on_nan="ignore")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("execution", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_resumes_in_the_middle_of_an_epoch(config, tmp_path, execution):
    config.steps_per_execution = execution
    config.checkpoint.every_steps = 2
    config.checkpoint.keep = 99
    config.data.validation_split = "test"
    whole = run(config, tmp_path)
    expected = [v.numpy() for v in whole.variables]
    log = (tmp_path / "log.csv").read_text()
    checkpoints = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.stem for path in checkpoints] == [
        "epoch-0000-step-000002",
        "epoch-0001-step-000002",
        "epoch-0001",
        "epoch-0002",
    ]
    for path in checkpoints[1:]:
        path.unlink()
    again = run(config, tmp_path)
    for ours, theirs in zip(again.variables, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)
    assert (tmp_path / "log.csv").read_text() == log


def test_a_run_that_finishes_views_on_the_device(config, tmp_path):
    config.data.validation_split = "test"
    config.views.finish_on_device = True
    whole = run(config, tmp_path / "device")
    expected = [v.numpy() for v in whole.variables]
    (tmp_path / "device" / "checkpoints" / "epoch-0002.keras").unlink()
    resumed = run(config, tmp_path / "device")
    for ours, theirs in zip(resumed.variables, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)
    # The field may differ when a run resumes.
    (tmp_path / "device" / "checkpoints" / "epoch-0002.keras").unlink()
    config.views.finish_on_device = False
    run(config, tmp_path / "device")
    run(config, tmp_path / "host")
    pictures = [tmp_path / folder / "views.png" for folder in ("host", "device")]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    ours, theirs = (
        np.genfromtxt(tmp_path / name / "log.csv", delimiter=",", skip_header=1)
        for name in ("device", "host")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.slow
def test_replicas_share_a_run_with_one_device(config, replicas, tmp_path):
    """A run that starts on two replicas and ends on one equals that of one device."""
    config.data.validation_split = "test"
    alone = run(config, tmp_path / "alone")
    together = tmp_path / "together"
    run(config, together, strategy=replicas(2))
    (together / "checkpoints" / "epoch-0002.keras").unlink()
    resumed = run(config, together)
    for ours, theirs in zip(resumed.weights, alone.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    ours, theirs = (
        np.genfromtxt(tmp_path / name / "log.csv", delimiter=",", skip_header=1)
        for name in ("together", "alone")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [("batch_size", 10, "4 replicas"), ("microbatches", 4, "each of 4 replicas")],
)
def test_batches_that_replicas_cannot_share_are_named(
    config, replicas, tmp_path, field, value, part
):
    config[field] = value
    with pytest.raises(bt_keras.UsageError, match=part):
        run(config, tmp_path / "run", strategy=replicas(4))
    assert not (tmp_path / "run").exists()


def test_other_data_in_the_same_workdir_are_refused(config, tmp_path, images):
    workdir = tmp_path / "run"
    run(config, workdir)
    config.data.train_split = "test"
    extra = tiny.write_images(tmp_path / "fewer", per_class=8)
    config.data.source = str(extra)
    (workdir / "config.json").write_text(config_lib.to_json(config))
    with pytest.raises(bt_keras.UsageError, match="but the data now give"):
        run(config, workdir)


def test_the_largest_activation_is_found_in_its_layer():
    model = tiny_model()
    conv = model.backbone.layers[1]
    conv.kernel.assign(1e4 * np.ones(conv.kernel.shape))
    images = np.ones((4, 8, 8, 3), np.float32)
    assert largest_activation(model, [(images, 2 * images)]) == (conv.name, 54e4)
    images[2, 3, 3] = np.nan
    layer, value = largest_activation(model, [(images, images)])
    assert (layer, np.isnan(value)) == (conv.name, True)
    backbone = Subclass()
    backbone(np.zeros((2, 8, 8, 3)))
    model = bt_keras.BarlowTwins(backbone, (8,))
    layer, value = largest_activation(model, [(images[:2], images[:2])])
    assert layer in (backbone.name, "linear1")
    assert 0 < value < 100
