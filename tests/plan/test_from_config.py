import keras
import pytest

from bt_keras import config as config_lib
from bt_keras.distribution import devices
from bt_keras.errors import UsageError
from bt_keras.model.from_config import build_model
from bt_keras.plan import plan, room


@pytest.fixture(scope="module")
def demo():
    return plan(config_lib.load("demo"))


def test_the_plan_of_the_demo_is_that_of_its_run(demo):
    assert (demo.images.count, demo.steps_per_epoch, demo.steps) == (10_000, 78, 468)
    model = build_model(demo.config)
    bytes_of_weights = 4 * model.count_params()
    assert demo.memory.weights == bytes_of_weights
    trainable = 4 * sum(keras.ops.size(v) for v in model.trainable_variables)
    assert demo.memory.gradients == trainable
    # LARS has one slot for each weight, and its rates and step.
    assert trainable < demo.memory.slots < trainable + 100
    assert demo.memory.views == 2 * 128 * 56 * 56 * 3 * 4


def test_replicas_divide_the_batch_and_not_the_work(demo):
    two = plan(demo.config, num_images=10_000, replicas=2)
    assert two.memory.weights == demo.memory.weights
    assert two.memory.activations == pytest.approx(demo.memory.activations / 2, 0.01)
    assert two.flops == demo.flops
    assert two.steps == demo.steps


def test_microbatches_pass_forward_twice_with_less_memory(demo):
    config = demo.config.copy_and_resolve_references()
    config.microbatches = 4
    parts = plan(config, num_images=10_000)
    assert parts.memory.activations == pytest.approx(demo.memory.activations / 4, 0.01)
    assert 1.3 < parts.flops / demo.flops < 1.4
    # Of the warning about memory.
    estimate = demo.memory.with_microbatches(4)
    assert estimate == pytest.approx(parts.memory.total, 0.01)


def test_bfloat16_halves_the_activations(demo):
    config = demo.config.copy_and_resolve_references()
    config.precision = "mixed_bfloat16"
    halves = plan(config, num_images=10_000)
    ratio = halves.memory.activations / demo.memory.activations
    assert 0.5 < ratio < 0.6
    assert halves.memory.weights == demo.memory.weights
    assert halves.flops == demo.flops


def test_networks_by_name_are_planned(config):
    config.backbone.name = "keras.applications.MobileNetV2"
    config.backbone.options = {"alpha": 0.35}
    config.views.size = 32
    planned = plan(config)
    assert planned.memory.activations > 0
    assert planned.left_out == ()
    # The README of MobileNetV2 states 59 million multiply-adds at 224 pixels, forward;
    # here there are 32 pixels, both views, and gradients of inputs and kernels.
    expected = 2 * 59e6 * (32 / 224) ** 2 * 2 * 3 * config.batch_size
    assert planned.flops == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("replicas", [0, -1, 1.5])
def test_replicas_are_positive(config, replicas):
    with pytest.raises(UsageError, match=f"replicas={replicas} must be"):
        plan(config, replicas=replicas)


def test_a_chosen_implementation_is_planned(config):
    config.method.options = {"implementation": "gram"}
    assert plan(config).implementation == "gram"
    config.method.options = {}
    assert plan(config).implementation == "correlation"


def test_the_loss_of_another_method_is_left_out(config):
    own = plan(config)
    config.method.name = "bt_keras.studies.methods.loss_variants.LossVariant"
    other = plan(config)
    assert other.left_out == ("the loss of LossVariant",)
    assert "'the loss of LossVariant'" in other.warnings[-1]
    assert (other.implementation, other.first_loss, other.floor) == (None, None, None)
    assert 0 < other.flops < own.flops
    assert other.memory.activations == own.memory.activations


@pytest.mark.parametrize(
    ("method", "options", "passes"),
    [
        ("simclr.SimCLR", {}, (2, 2)),
        ("byol.BYOL", {"predictor_width": 8}, (4, 2)),
        ("mixed.MixedBarlowTwins", {}, (3, 3)),
    ],
)
def test_the_passes_of_other_methods_are_counted(config, method, options, passes):
    def flops(name, options, microbatches=1):
        config.method.name, config.method.options = name, options
        config.microbatches = microbatches
        return plan(config).flops

    # Without loss: a forward and a backward pass of each view.
    plain = flops("bt_keras.studies.methods.loss_variants.LossVariant", {})
    repeated = flops("bt_keras.studies.methods.loss_variants.LossVariant", {}, 2)
    forward, backward = repeated - plain, 2 * plain - repeated
    expected = (passes[0] * forward + passes[1] * backward) / 2
    assert flops(f"bt_keras.studies.methods.{method}", options) == expected


@pytest.mark.slow  # Networks of 0.7 GB.
@pytest.mark.parametrize("name", ["default", "wide", "cifar10", "demo_adamw"])
def test_every_config_is_planned(name):
    planned = plan(config_lib.load(name), num_images=50_000)
    assert planned.memory.total > 0
    assert planned.flops > 0


def test_the_loss_does_not_start_below_its_floor(demo):
    invariance, redundancy = demo.first_loss
    assert demo.floor < invariance + demo.config.lambd * redundancy


@pytest.mark.skipif(devices.is_accelerated(), reason="about the memory of a CPU")
def test_no_trial_is_run_that_does_not_fit(config, monkeypatch):
    monkeypatch.setattr(room.system, "total_memory", lambda: 10**5)
    assert "this machine has 0.0 GB" in plan(config).warnings[-1]
    with pytest.raises(UsageError, match="--trial: a replica needs"):
        plan(config, trial=True)
