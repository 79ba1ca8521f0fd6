"""What all layers have in common: seeds, configuration, and keras-cv's inputs."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation import layers
from bt_keras.errors import UsageError

BOXES = {"bounding_box_format": "xyxy"}
LAYERS = {
    "crop": lambda **k: layers.RandomResizedCrop(24, (0.2, 1.0), **BOXES, **k),
    "flip": lambda **k: layers.RandomFlip(0.5, "horizontal_and_vertical", **BOXES, **k),
    "rotate": lambda **k: layers.RandomRotate90(0.6, **BOXES, **k),
    "jitter": lambda **k: layers.ColorJitter(0.3, hue=0.2, **k),
    "gray": lambda **k: layers.RandomGrayscale(0.5, **k),
    "blur": lambda **k: layers.RandomGaussianBlur((0.5, 3.0), 0.5, **k),
    "solarize": lambda **k: layers.RandomSolarize(0.5, 100, **k),
}
SIZES = [(26, 30), (32, 32), (31, 27)]
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
def test_the_seed_determines_the_result_and_calls_differ(name, images):
    first, again, other = (LAYERS[name](seed=seed) for seed in (5, 5, 6))
    got = first(images).numpy()
    assert got.dtype == np.float32
    assert got.min() >= 0
    assert got.max() <= 255
    np.testing.assert_array_equal(got, np.round(got))
    np.testing.assert_array_equal(got, again(images))
    assert np.any(got != first(images).numpy())
    assert np.any(got != other(images).numpy())


@every_layer
def test_equal_images_of_a_batch_change_differently(name, images):
    got = LAYERS[name](seed=5)(np.repeat(images[:1], 64, axis=0)).numpy()
    assert len({image.tobytes() for image in got}) > 1


@every_layer
def test_configuration_round_trip(name, images):
    layer = LAYERS[name](seed=5, name=f"my_{name}")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"bt_keras>{type(layer).__name__}"
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.get_config() == layer.get_config()
    assert restored.name == f"my_{name}"
    np.testing.assert_array_equal(restored(images), layer(images))


def labeled(images, boxes=((3.0, 4.0, 20.0, 30.0),)):
    """An entry of every kind for each of the images."""
    count = len(images)
    return {
        "images": images,
        "labels": np.arange(count, dtype=np.int64) + 2**24 + 1,
        "segmentation_masks": images[..., :1].astype(np.int32) * 1001,
        "bounding_boxes": {
            "boxes": np.tile(np.float32(boxes), (count, 1, 1)),
            "classes": np.full((count, len(boxes)), 999),
        },
        "names": np.array([f"image {i}" for i in range(count)]),
    }


@every_layer
def test_all_entries_inside_a_dataset(name, images):
    given = labeled(images)
    dataset = tf.data.Dataset.from_tensor_slices(given).batch(64)
    (got,) = dataset.map(LAYERS[name](seed=5))
    alone = LAYERS[name](seed=5)(images)
    assert got["images"].shape == alone.shape
    np.testing.assert_array_equal(got["images"], alone)
    np.testing.assert_array_equal(got["labels"], given["labels"])
    np.testing.assert_array_equal(got["names"], given["names"].astype(bytes))
    masks = got["segmentation_masks"]
    assert masks.dtype == tf.int32
    assert masks.shape == (*alone.shape[:3], 1)
    assert np.isin(masks, given["segmentation_masks"]).all()
    assert set(got["bounding_boxes"]["classes"].flat_values.numpy()) == {999.0}


@every_layer
def test_single_images_of_any_size_inside_a_dataset(name, images):
    sizes = SIZES if name != "rotate" else [(26, 26), (30, 30)]

    def crops():
        for height, width in sizes:
            yield {
                "images": images[0, :height, :width],
                "targets": 7,
                "segmentation_masks": images[0, :height, :width, :1],
                "bounding_boxes": {"boxes": [[0, 0, 9, 9]], "classes": [3]},
            }

    spec = {
        "images": tf.TensorSpec((None, None, 3), tf.uint8),
        "targets": tf.TensorSpec((), tf.int32),
        "segmentation_masks": tf.TensorSpec((None, None, 1), tf.uint8),
        "bounding_boxes": {
            "boxes": tf.TensorSpec((1, 4), tf.float32),
            "classes": tf.TensorSpec((1,), tf.int32),
        },
    }
    dataset = tf.data.Dataset.from_generator(crops, output_signature=spec)
    got = list(dataset.map(LAYERS[name](seed=5)))
    for result, size in zip(got, sizes, strict=True):
        size = (24, 24) if name == "crop" else size
        assert result["images"].shape == (*size, 3)
        assert result["segmentation_masks"].shape == (*size, 1)
        assert result["bounding_boxes"]["boxes"].shape[1:] == (4,)
        assert result["targets"] == 7


@every_layer
def test_ragged_batches(name, images):
    """The crop makes them dense; the others keep them ragged."""
    batch = [images[i, :height, :width] for i, (height, width) in enumerate(SIZES)]
    dataset = tf.data.Dataset.from_generator(
        lambda: ({"images": x, "segmentation_masks": x[..., :1]} for x in batch),
        output_signature={
            "images": tf.TensorSpec((None, None, 3), tf.uint8),
            "segmentation_masks": tf.TensorSpec((None, None, 1), tf.uint8),
        },
    )
    (got,) = dataset.ragged_batch(3).map(LAYERS[name](seed=5))
    alone = LAYERS[name](seed=5)(tf.ragged.stack(batch))
    for result in (got["images"], alone, got["segmentation_masks"]):
        if name == "crop":
            assert isinstance(result, tf.Tensor)
            assert result.shape[1:3] == (24, 24)
            continue
        assert isinstance(result, tf.RaggedTensor)
        for one, image in zip(result, batch, strict=True):
            sides = one.to_tensor().shape[:2]
            assert sorted(sides) == sorted(image.shape[:2])
            assert name == "rotate" or sides == image.shape[:2]
    to_dense = (lambda x: x) if name == "crop" else (lambda x: x.to_tensor())
    for mine, same in zip(got["images"], alone, strict=True):
        np.testing.assert_array_equal(to_dense(mine), to_dense(same))


@every_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_of_the_images_alone(name, policy, images):
    given = labeled(images, [(3.0, 4.0, 20.0, 30.0)])
    exact = LAYERS[name](seed=5)(given)
    keras.config.set_dtype_policy(policy)
    got = LAYERS[name](seed=5)(given)
    assert got["images"].dtype == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(tf.cast(got["images"], tf.float32), exact["images"])
    for entry in ("labels", "segmentation_masks"):
        np.testing.assert_array_equal(got[entry], exact[entry])
    for entry in ("boxes", "classes"):
        mine, same = (x["bounding_boxes"][entry].flat_values for x in (got, exact))
        np.testing.assert_array_equal(mine, same)
    assert given["bounding_boxes"]["boxes"].shape == (64, 1, 4)  # Not changed.


def test_outputs_have_the_type_of_the_layer(images):
    for dtype in ("uint8", "float64"):
        flip = layers.RandomFlip(1.0, dtype=dtype)
        got = flip(images.astype(np.float64))
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, images[:, :, ::-1])


def test_layers_in_a_model_that_is_saved(images, tmp_path):
    inputs = keras.Input((32, 32, 3))
    outputs = layers.RandomFlip(1.0)(layers.RandomSolarize(1.0)(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    expected = np.where(images >= 128, 255 - images, images)[:, :, ::-1]
    np.testing.assert_array_equal(restored(images), expected)


@every_layer
def test_keypoints(name, images):
    given = {"images": images, "keypoints": np.ones((64, 5, 2), np.float32)}
    layer = LAYERS[name]()
    if name in ("crop", "flip", "rotate"):
        with pytest.raises(UsageError, match="cannot move keypoints"):
            layer(given)
    else:
        np.testing.assert_array_equal(layer(given)["keypoints"], given["keypoints"])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": np.zeros((8, 8, 3))}, r"dict with 'images'; this one has 'image'\."),
        (np.zeros((8, 8)), r"\(H, W, C\) or \(N, H, W, C\), got \(8, 8\)\."),
        (np.zeros((2, 8, 8, 1)), r"grayscale needs RGB images"),
        (tf.ragged.stack([np.zeros((8, 9, 1))]), r"grayscale needs RGB images"),
    ],
)
def test_inputs_that_cannot_be_used_are_one_line(inputs, message):
    with pytest.raises(UsageError, match=rf"^[^\n]*{message}[^\n]*$"):
        layers.RandomGrayscale()(inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomFlip(1.5), "probability=1.5"),
        (lambda: layers.RandomFlip(mode="diagonal"), "mode='diagonal' is not one of"),
        (lambda: layers.RandomFlip(bounding_box_format="xyyx"), "'xyyx' is not one of"),
        (lambda: layers.RandomRotate90(-0.5), "probability=-0.5"),
        (lambda: layers.ColorJitter(hue=0.6), "hue=0.6"),
        (lambda: layers.ColorJitter(-0.1), "brightness=-0.1"),
        (lambda: layers.RandomGaussianBlur((2.0, 1.0)), "sigma=(2.0, 1.0)"),
        (lambda: layers.RandomResizedCrop(32.0), "size=32.0"),
        (lambda: layers.RandomResizedCrop(32, scale=(0, 1)), "scale=(0, 1)"),
        (lambda: layers.RandomFlip(float("nan")), "probability=nan"),
        (lambda: layers.RandomFlip(seed=0.5), "seed=0.5"),
        (lambda: layers.RandomSolarize(threshold=300), "threshold=300"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        make()
