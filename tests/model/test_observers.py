"""Observers see every step, keep their own state, and leave the model alone."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import UsageError
from bt_keras.model.observers import Observer, Observers, StepView
from bt_keras.model.replicated_mean import ReplicatedMean
from tests.conftest import half_precision
from tests.models import pairs, tiny
from tests.observers import Mean


def trained(observers=(), strategy=None, data=None, **kwargs):
    """Trains for two epochs; returns the model and its history."""
    compiled = {
        name: kwargs.pop(name)
        for name in ("run_eagerly", "steps_per_execution", "jit_compile")
        if name in kwargs
    }
    keras.utils.set_random_seed(1)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = tiny(**kwargs)
        model.compile(optimizer=bt_keras.LARS(0.5), **compiled)
    for observer in observers:
        model.observe(observer)
    data = pairs(3) if data is None else data
    history = model.fit(data, epochs=2, shuffle=False, verbose=0).history
    return model, history


def state(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def assert_same_bits(model, reference):
    for value, expected in zip(state(model), state(reference), strict=True):
        np.testing.assert_array_equal(value, expected)


SETTINGS = [
    {},
    {"microbatches": 2},
    {"run_eagerly": True},
    {"steps_per_execution": 2},
    {"stacks": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: next(iter(s), "plain"))
@pytest.mark.parametrize("label", [False, True], ids=["views", "labels"])
def test_the_model_is_the_same_bit_by_bit(settings, label, request):
    settings = dict(settings)
    if settings.pop("stacks", False):  # As on a GPU.
        request.getfixturevalue("gpu_paths")
        settings["jit_compile"] = False
    data = pairs(3, label=label)
    reference, plain = trained(data=data, **settings)
    observer = Mean()
    model, history = trained([observer], data=data, **settings)
    assert_same_bits(model, reference)
    assert float(observer.count.numpy()) == 6
    extra = history.pop("mean_of_features")
    assert history == plain
    assert extra[0] != extra[1]
    step = observer.steps[-1]
    assert (step.labels is not None) == label
    assert [each.shape[-1] for each in step.features] == [6, 6]
    shapes = [tuple(variable.shape) for variable in step.variables]
    assert shapes == [tuple(v.shape) for v in model.trainable_variables]
    assert shapes == [tuple(gradient.shape) for gradient in step.gradients]


@pytest.mark.slow
def test_the_model_is_the_same_with_xla():
    reference, _ = trained(jit_compile=True)
    model, _ = trained([Mean()], jit_compile=True)
    for value, expected in zip(state(model), state(reference), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)


class Recorder(Observer):
    """Keeps the values of the last step, of a step that runs eagerly."""

    def observe(self, step):
        self.step = step
        return {}


def test_a_step_is_seen_before_the_update():
    model, recorder = tiny(), Recorder("recorder")
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    model.observe(recorder)
    before = [variable.numpy() for variable in model.trainable_variables]
    view_a, view_b = next(iter(pairs()))
    with tf.GradientTape() as tape:
        features = [model.backbone(view, training=True) for view in (view_a, view_b)]
        embeddings = [model.projector(each, training=True) for each in features]
        loss = bt_keras.barlow_twins_loss(*embeddings)
    gradients = tape.gradient(loss, model.trainable_variables)
    model.train_on_batch(view_a, view_b)
    step = recorder.step
    for view, expected in zip(step.views, (view_a, view_b), strict=True):
        np.testing.assert_array_equal(view, expected)
    for ours, expected in (
        *zip(step.features, features, strict=True),
        *zip(step.embeddings, embeddings, strict=True),
        *zip(step.gradients, gradients, strict=True),
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(step.logs["loss"], loss, rtol=1e-5)
    for old, gradient, variable in zip(
        before, step.gradients, step.variables, strict=True
    ):
        np.testing.assert_allclose(
            variable.numpy(), old - 0.1 * gradient.numpy(), rtol=1e-5, atol=1e-7
        )


@half_precision
def test_gradients_come_without_the_loss_scale():
    gradients = []
    for scale in (1.0, 1024.0):
        keras.utils.set_random_seed(1)
        keras.config.set_dtype_policy("mixed_float16")
        model, recorder = tiny(), Recorder("recorder")
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.optimizer.dynamic_scale.assign(scale)
        model.observe(recorder)
        model.train_on_batch(*next(iter(pairs())))
        gradients.append([gradient.numpy() for gradient in recorder.step.gradients])
    for plain, scaled in zip(*gradients, strict=True):
        np.testing.assert_allclose(scaled, plain, rtol=1e-2, atol=1e-4)


def test_only_gradients_that_an_observer_takes_are_divided():
    recorder, rows = Recorder("recorder"), (tf.zeros((2, 3)),) * 2
    observers = Observers(tiny())
    observers.add(recorder)
    gradients = [None, tf.constant([6.0]), "not divided"]
    seen = StepView(rows, rows, rows, None, {}, gradients, [])
    observers.observe(seen, loss_scale=tf.constant(2.0))
    assert len(recorder.step.gradients) == 3
    assert recorder.step.gradients[0] is None
    np.testing.assert_array_equal(recorder.step.gradients[1], [3.0])


@pytest.mark.parametrize("steps", [1, 2])
def test_replicas_log_the_global_batch(two_replicas, steps):
    _, alone = trained([Mean()], steps_per_execution=steps)
    observer = Mean()
    model, together = trained([observer], two_replicas, steps_per_execution=steps)
    reference, _ = trained(strategy=two_replicas, steps_per_execution=steps)
    assert_same_bits(model, reference)
    for name, values in alone.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-4)
    copies = two_replicas.experimental_local_results(observer.count.value)
    assert [float(copy) for copy in copies] == [6, 6]


def test_the_list_may_change_between_fits():
    model, first, second = tiny(), Mean("first"), Mean("second", tests=True)
    model.compile(bt_keras.LARS(0.5))

    def logged():
        data = pairs(3)
        history = model.fit(data, validation_data=data, shuffle=False, verbose=0)
        own = ("loss", "invariance", "redundancy")
        return {
            name for name in history.history if name.removeprefix("val_") not in own
        }

    assert logged() == set()
    model.observe(first)
    model.observe(first)  # It is there already.
    assert logged() == {"first_of_features"}
    model.observe(second)
    assert model.observers == (first, second)
    names = {"second_of_features", "val_second_of_features"}
    assert logged() == {"first_of_features"} | names
    model.unobserve(first)
    assert logged() == names
    model.unobserve(second)
    assert logged() == set()
    assert [float(each.count.numpy()) for each in (first, second)] == [6, 6]


def test_an_observer_of_a_callback_leaves_at_the_end_of_fit():
    class Attach(keras.callbacks.Callback):
        def __init__(self, fails):
            super().__init__()
            self.fails = fails

        def set_model(self, model):
            super().set_model(model)
            model.observe(observer)

        def on_epoch_end(self, epoch, logs=None):
            assert model.observers == (observer,)
            if self.fails:
                raise KeyboardInterrupt

    model, observer = tiny(), Mean()
    model.compile("sgd")
    model.fit(pairs(), callbacks=[Attach(fails=False)], verbose=0)
    assert model.observers == ()
    with pytest.raises(KeyboardInterrupt):
        model.fit(pairs(), callbacks=[Attach(fails=True)], verbose=0)
    assert model.observers == ()
    traced = len(observer.steps)
    model.fit(pairs(), callbacks=[Attach(fails=False)], verbose=0)
    # The step of the first fit is used again.
    assert (traced, len(observer.steps)) == (1, 1)
    assert float(observer.count.numpy()) == 6


def test_evaluate_sees_networks_in_inference_mode():
    model, observer = tiny(), Mean(tests=True)
    model.compile("sgd")
    model.observe(observer)
    data = pairs(1)
    logs = model.evaluate(data, return_dict=True, verbose=0)
    expected = np.mean([model(view) for view in next(iter(data))])
    np.testing.assert_allclose(logs["mean_of_features"], expected, rtol=1e-5)
    model.unobserve(observer)
    plain = model.evaluate(data, return_dict=True, verbose=0)
    assert plain == {name: logs[name] for name in plain}
    assert set(logs) - set(plain) == {"mean_of_features"}


def test_files_and_variables_are_those_of_the_model_alone(tmp_path):
    model, _ = trained()
    count, weights = len(model.variables), model.count_params()
    model.save(tmp_path / "plain.keras")
    model.observe(Mean())
    model.fit(pairs(1), verbose=0)
    assert (len(model.variables), model.count_params()) == (count, weights)
    assert not {"count"} & {variable.name for variable in model.variables}
    model.save(tmp_path / "observed.keras")
    sizes = []
    for name in ("plain", "observed"):
        with zipfile.ZipFile(tmp_path / f"{name}.keras") as file:
            sizes.append({each.filename: each.file_size for each in file.infolist()})
            sizes[-1].pop("metadata.json")
    assert sizes[0] == sizes[1]
    again = keras.models.load_model(tmp_path / "observed.keras")
    assert again.observers == ()
    assert_same_bits(again, model)


def test_an_observer_starts_anew_with_another_model():
    observer = Mean()
    trained([observer])
    trained([observer])
    assert float(observer.count.numpy()) == 6


class Overriding(bt_keras.BarlowTwins):
    def project(self, inputs, training=False):
        return super().project(inputs, training)


@pytest.mark.parametrize("name", ["", "a/b", "..", 3, None, "a" * 65])
def test_names_fit_into_a_file(name):
    with pytest.raises(UsageError, match="must consist of letters"):
        Observer(name)


def test_what_cannot_be_observed_is_one_line():
    model = tiny()
    with pytest.raises(UsageError, match="takes an Observer, got a str"):
        model.observe("mean")
    model.observe(Mean())
    with pytest.raises(UsageError, match="an observer 'mean' already"):
        model.observe(Mean())
    with pytest.raises(UsageError, match="logs loss, which is logged already"):
        model.observe(LogsLoss("other"))
    assert len(model.observers) == 1
    overriding = Overriding(tiny().backbone, (8,))
    with pytest.raises(UsageError, match="Overriding overrides `project`"):
        overriding.observe(Mean())
    overriding.compile("sgd")
    overriding.fit(pairs(), verbose=0)


class LogsLoss(Observer):
    def build(self, model):
        self.metrics = [ReplicatedMean(name="loss")]
