import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import UsageError
from bt_keras.checkpoint import save_restore, store
from bt_keras.checkpoint.progress import Progress
from tests.conftest import half_precision
from tests.models import pairs, tiny


def trained(policy="float32", strategy=None, **kwargs):
    """Returns a trained model with momenta, a step count and a loss scale (float16)."""
    keras.config.set_dtype_policy(policy)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = tiny(**kwargs)
        schedule = bt_keras.WarmupCosine(0.2, 1, 10)
        model.compile(optimizer=bt_keras.LARS(schedule))
    model.fit(pairs(), shuffle=False, verbose=0)
    return model


def state(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize(
    "policy",
    ["float32", pytest.param("mixed_float16", marks=half_precision)],
)
def test_a_restored_model_trains_like_the_original(tmp_path, policy):
    model = trained(policy)
    if policy == "mixed_float16":
        model.optimizer.dynamic_scale.assign(4096.0)
        model.optimizer.step_counter.assign(7)
    path = save_restore.write(model, tmp_path, Progress(2, step=2))
    again = trained(policy)  # With another state.
    again.fit(pairs(), shuffle=False, verbose=0)
    save_restore.restore(path, again)
    for ours, theirs in zip(state(again), state(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for one in (model, again):
        one.fit(pairs(), shuffle=False, verbose=0)
    for ours, theirs in zip(state(again), state(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_second_checkpoint_of_one_step_replaces_the_first(tmp_path):
    model = trained()
    first = save_restore.write(model, tmp_path, Progress(2, step=2, batch=2))
    again = save_restore.write(model, tmp_path, Progress(2, step=2, batch=99))
    assert first == again
    assert store.find_newest(tmp_path)[0].batch == 99
    assert list(tmp_path.iterdir()) == [first]


def test_a_checkpoint_loads_with_keras(tmp_path):
    model = trained()
    path = save_restore.write(model, tmp_path, Progress(2, step=2))
    again = keras.models.load_model(path)
    for ours, theirs in zip(state(again), state(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_replicas_and_one_device_share_checkpoints(tmp_path, replicas):
    model = trained(strategy=replicas(2))
    path = save_restore.write(model, tmp_path, Progress(2, step=2))
    again = trained()
    save_restore.restore(path, again)
    for ours, theirs in zip(state(again), state(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = trained(strategy=replicas(2))
    with other.distribute_strategy.scope():
        save_restore.restore(path, other)
    for variable, theirs in zip(other.variables, model.variables, strict=True):
        for copy in other.distribute_strategy.experimental_local_results(
            variable.value
        ):
            np.testing.assert_array_equal(copy, theirs)


def test_another_architecture_is_an_error(tmp_path):
    path = save_restore.write(trained(), tmp_path, Progress(2, step=2))
    wider = trained(projector=(16, 17))
    with pytest.raises(UsageError, match="another architecture"):
        save_restore.restore(path, wider)


def test_other_files_are_named_in_the_error(tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "other.keras")
    with pytest.raises(UsageError, match="another architecture"):
        save_restore.load(tmp_path / "other.keras")
    (tmp_path / "text.keras").write_text("not a zip archive")
    with pytest.raises(UsageError, match=r"text\.keras cannot be read"):
        save_restore.load(tmp_path / "text.keras")


def test_a_checkpoint_of_a_newer_keras_is_named_in_the_error(tmp_path, monkeypatch):
    """Keras adds arguments to its layers that earlier versions do not accept."""
    with monkeypatch.context() as patch:
        now = store.versions()
        patch.setattr(store, "versions", lambda: {**now, "keras": "99.0"})
        path = save_restore.write(trained(), tmp_path, Progress(2, step=2))

    def fail(*args, **kwargs):
        raise TypeError("unexpected keyword argument")

    monkeypatch.setattr(keras.models, "load_model", fail)
    expected = f"it was written with keras 99.0, now {now['keras']} "
    with pytest.raises(UsageError, match=expected):
        save_restore.load(path)


def test_a_full_disk_leaves_earlier_checkpoints_intact(tmp_path):
    """The file is written through a link to a device that is always full."""
    model = trained()
    first = save_restore.write(model, tmp_path, Progress(2, step=2))
    content = first.read_bytes()
    (tmp_path / store.UNFINISHED).parent.mkdir()
    (tmp_path / store.UNFINISHED).symlink_to("/dev/full")
    with pytest.raises(UsageError, match="No space left on device"):
        save_restore.write(model, tmp_path, Progress(2, step=4))
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert first.read_bytes() == content
    assert store.find_newest(tmp_path) == (Progress(2, step=2), first)
