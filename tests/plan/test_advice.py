import dataclasses

import pytest

from bt_keras import config as config_lib
from bt_keras import scores
from bt_keras.data import load
from bt_keras.plan import advice
from bt_keras.plan.images import Images
from bt_keras.plan.memory import Memory
from bt_keras.plan.room import Room
from bt_keras.plan.step_cost import StepCost

GB = 10**9
SMALL = Memory(*[GB] * len(dataclasses.fields(Memory)))
IMAGENET = Images(1_281_167, "")
ROOM = Room("this machine", 24 * GB)


def warnings(
    fields=(),
    name="default",
    images=IMAGENET,
    memory=SMALL,
    replicas=1,
    left_out=(),
    room=ROOM,
):
    config = config_lib.load(name)
    config.update_from_flattened_dict(dict(fields))
    width = config.projector[-1]
    floor = scores.loss_floor(config.batch_size, width, config.lambd)
    cost = StepCost(memory, flops=1, left_out=left_out)
    return advice.warnings(config, images, cost, floor, replicas, room)


def test_there_is_nothing_to_say_about_the_recipe_of_the_paper():
    assert warnings() == []


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"batch_size": 128}, "the batch of 128 is small for embeddings of 8192"),
        ({"microbatches": 256}, "micro-batches of 8 images"),
        ({"views.size": 64}, "views of 64 pixels are blurred"),
        ({"optimizer.warmup_epochs": 400.0}, "rises for 400 of 1000 epochs"),
        ({"epochs": 12, "optimizer.warmup_epochs": 1.0}, "this run has 7,500"),
    ],
)
def test_a_recipe_is_warned_about_once(fields, part):
    (found,) = warnings(fields)
    assert part in found


def test_batch_norm_counts_the_images_of_all_replicas():
    assert warnings({"microbatches": 128}, replicas=16) == []
    (found,) = warnings({"microbatches": 256}, replicas=4)
    assert "micro-batches of 8 images" in found


def test_small_recipes_are_not_blurred():
    fields = {"views.size": 64, "views.recipe": "small"}
    assert warnings(fields) == []
    with_blur = config_lib.load("default")
    with_blur.update_from_flattened_dict(fields)
    with_blur.views.a.blur, with_blur.views.a.sigma = 0.5, (0.1, 0.5)
    cost = StepCost(SMALL, flops=1, left_out=())
    (found,) = advice.warnings(with_blur, IMAGENET, cost, 0.0, 1, ROOM)
    assert "up to 0.5 pixels" in found


def test_images_that_are_smaller_than_the_views():
    images = Images(10_000, "", source=load("shipped"))
    (found,) = warnings(name="demo", images=images)
    assert "the smallest image has 28 pixels on a side, and views have 56" in found
    assert warnings({"views.size": 28}, name="demo", images=images) == []


def test_optimizers_other_than_lars_may_be_short():
    short = {"epochs": 12, "optimizer.warmup_epochs": 1.0, "optimizer.name": "adamw"}
    assert warnings(short) == []


def test_memory_beyond_the_machine_names_microbatches_that_fit():
    large = dataclasses.replace(SMALL, activations=30 * GB)
    (found,) = warnings(memory=large)
    assert "needs 36.0 GB, and this machine has 24.0 GB" in found
    assert "config.microbatches=2" in found
    assert large.with_microbatches(2) <= 24 * GB < large.total


def test_weights_beyond_the_machine_have_no_such_advice():
    large = dataclasses.replace(SMALL, weights=30 * GB)
    (found,) = warnings(memory=large)
    assert "microbatches" not in found


def test_memory_beyond_a_gpu_names_the_gpu():
    gpu = Room("a GPU (NVIDIA A100-SXM4-40GB)", 20 * GB)
    large = dataclasses.replace(SMALL, activations=16 * GB)
    (found,) = warnings(memory=large, replicas=2, room=gpu)
    assert "needs 22.0 GB, and a GPU (NVIDIA A100-SXM4-40GB) has 20.0 GB" in found
    assert "config.microbatches=2" in found


def test_nothing_is_said_about_memory_that_is_not_known():
    assert warnings(memory=dataclasses.replace(SMALL, weights=30 * GB), room=None) == []


def test_layers_that_are_not_counted_are_named():
    (found,) = warnings(left_out=("net/a", "net/b", "net/c", "net/d"))
    assert "cannot count, of 'net/a', 'net/b', 'net/c' and 1 more:" in found
