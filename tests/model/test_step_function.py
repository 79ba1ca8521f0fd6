"""Steps of `fit` on one device, on replicas and with XLA; their collectives."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.model import step_function
from bt_keras.networks import BatchNormalization
from tests import collectives
from tests.models import pairs, tiny

BATCH = 8


def five_steps(strategy, implementation="auto", **compiled):
    """Returns logs and all variables after five steps, with other data per replica."""
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model = tiny(implementation=implementation)
        rate, bias_rate = (bt_keras.WarmupCosine(p, 2, 20) for p in (0.5, 1e-2))
        model.compile(optimizer=bt_keras.LARS(rate, bias_rate), **compiled)
    history = model.fit(
        pairs(5), shuffle=False, verbose=0, validation_data=pairs(2)
    ).history
    return history, [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.fixture(scope="module")
def alone():
    """`alone(implementation)`: the results of `five_steps` on one device."""
    results = {}

    def of(implementation="auto"):
        if implementation not in results:
            strategy = tf.distribute.get_strategy()
            results[implementation] = five_steps(strategy, implementation)
        return results[implementation]

    return of


def assert_same(result, reference, rtol):
    for name in reference[0]:
        np.testing.assert_allclose(result[0][name], reference[0][name], rtol=1e-5)
    assert len(result[1]) == len(reference[1])
    for a, b in zip(result[1], reference[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("implementation", ["gram", "correlation"])
@pytest.mark.parametrize("count", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_replicas_equal_one_device(replicas, alone, implementation, count):
    together = five_steps(replicas(count), implementation)
    assert_same(together, alone(implementation), rtol=1e-4)


def test_replicas_with_collectives_equal_one_device(two_replicas, alone):
    assert_same(five_steps(two_replicas), alone(), rtol=1e-4)


@pytest.mark.parametrize("steps", [2, 3, 5, 7])
def test_steps_per_execution_equal_single_steps(alone, steps):
    """Also if they do not divide the epoch."""
    looped = five_steps(tf.distribute.get_strategy(), steps_per_execution=steps)
    assert_same(looped, alone(), rtol=1e-6)


def test_steps_per_execution_on_replicas(two_replicas, alone):
    looped = five_steps(two_replicas, steps_per_execution=2)
    assert_same(looped, alone(), rtol=1e-4)


def count_traces(monkeypatch):
    """Returns a list that grows with every trace of a training step."""
    traces, step = [], bt_keras.BarlowTwins.train_step
    monkeypatch.setattr(
        bt_keras.BarlowTwins,
        "train_step",
        lambda model, data: traces.append(1) or step(model, data),
    )
    return traces


@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_traced_before_fit_is_not_traced_again(monkeypatch, steps):
    traces = count_traces(monkeypatch)
    model = tiny()
    model.compile("sgd", steps_per_execution=steps)
    before = model.get_weights()
    endless = pairs(2).repeat()
    model.trace_train_step(endless)
    assert len(traces) == 1
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    model.fit(endless, steps_per_epoch=2, verbose=0, shuffle=False)
    assert len(traces) == 1
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_nothing_is_traced_before_fit_for_replicas(monkeypatch, two_replicas):
    traces = count_traces(monkeypatch)
    with two_replicas.scope():
        model = tiny()
        model.compile("sgd")
        model.trace_train_step(pairs(2).repeat())
    assert not traces


def test_eager_steps_equal_compiled_steps(alone):
    eager = five_steps(tf.distribute.get_strategy(), run_eagerly=True)
    assert_same(eager, alone(), rtol=1e-5)


def test_epoch_under_a_strategy_starts_with_the_first_batch(replicas):
    """Keras would consume a batch to build the model."""
    seen = []

    def batches():
        for number in range(4):
            seen.append(number)
            yield tuple(np.random.default_rng(number).normal(size=(2, 8, 8, 8, 3)))

    spec = tf.TensorSpec((8, 8, 8, 3))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=(spec, spec))
    with replicas(2).scope():
        model = tiny()
        model.compile(optimizer="sgd")
    model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert seen == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("implementation", ["gram", "correlation"])
@pytest.mark.parametrize("count", [2, 4])
def test_collectives_are_those_of_the_docstring(implementation, count):
    # A second strategy in this process works, since it only traces.
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
    model, sizes = collectives.count(strategy, implementation)
    n, width = BATCH // count, model.projector.output_shape[-1]
    backbone, projector = (
        [layer for layer in part.layers if isinstance(layer, BatchNormalization)]
        for part in (model.backbone, model.projector)
    )
    assert len(backbone) == len(projector) == 1
    expected = collections.Counter()
    if implementation == "gram":
        expected["Gather", 2 * n * width] += 1
        expected["Reduce", 1] += 1
    else:
        expected["Gather", 4 * width + 1] += 1
        expected["Reduce", width * width + width] += 1
    expected["Reduce", 2 * width] += 1
    for norm in backbone:
        channels = norm.gamma.shape[0]
        expected["Reduce", 2 * channels + 1] += 2
        expected["Reduce", 2 * channels] += 2
    for norm in projector:
        channels = norm.gamma.shape[0]
        expected["Reduce", 4 * channels + 1] += 1
        expected["Reduce", 4 * channels] += 1
    expected["Reduce", 1] += 1
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    expected["Reduce", trainable] += 1
    assert sizes == +expected


@pytest.mark.parametrize(
    "implementation", ["gram", pytest.param("correlation", marks=pytest.mark.slow)]
)
def test_step_of_a_resnet_compiles_with_xla_as_a_whole(implementation):
    """TPUs require static shapes and no operation outside the compiled function."""
    backbone = bt_keras.resnet(6, width=0.1, stem="cifar", input_shape=(16, 16, 3))
    model = bt_keras.BarlowTwins(backbone, (32, 32), implementation=implementation)
    model.compile(optimizer=bt_keras.LARS(0.1, 1e-3), jit_compile=True)
    views = [tf.zeros((BATCH, 16, 16, 3))] * 2
    step = tf.function(lambda *data: model.train_step(data), jit_compile=True)
    code = step.experimental_get_compiler_ir(*views)(stage="hlo")
    assert "<=" not in code  # Marks dynamic sizes.
    assert f"f32[{BATCH},16,16,3]" in code
    data = pairs(2, size=16)
    for epochs in (1, 2):
        history = model.fit(data, epochs=epochs, shuffle=False, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_the_time_of_waiting_is_a_number_on_the_cpu():
    """Reading a number on a GPU would wait for the step."""
    timed = tf.function(lambda: step_function._timed(lambda: tf.constant(1.0)))
    operations = timed.get_concrete_function().graph.get_operations()
    devices = {op.device for op in operations if op.type in ("Sub", "Timestamp")}
    assert devices == {"/device:CPU:0"}


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_step_follows_the_clock_on_a_cpu_alone(monkeypatch, accelerated):
    """On a GPU it would wait for the host."""
    monkeypatch.setattr(step_function.devices, "is_accelerated", lambda: accelerated)
    one_step = tf.function(lambda data: data + 1)
    run = tf.function(lambda iterator: step_function._run_one(one_step, iterator))
    concrete = run.get_concrete_function(iter(tf.data.Dataset.range(2)))
    operations = concrete.graph.get_operations()
    [call] = [op for op in operations if op.type == "PartitionedCall"]
    [difference] = [op for op in operations if op.type == "Sub"]
    assert (difference in call.control_inputs) == (not accelerated)
