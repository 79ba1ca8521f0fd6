"""Batches of pairs: their images, their order, the first step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.augmentation.views import views
from bt_keras.data import from_dataset, load, pairs
from bt_keras.data import source as source_module
from bt_keras.data.pairs import split_labels
from bt_keras.data.shuffle import epoch_order
from bt_keras.errors import UsageError
from tests import tiny
from tests.data import files
from tests.data.plain import IMAGES, Plain, in_memory

SMALL = views(8, "small")


def shown(batches):
    """Returns which images were shown: the first pixel of each view."""
    return [int(view[0, 0, 0]) for view_a, _ in batches for view in view_a]


@pytest.mark.parametrize("first_step", [1, 3])
def test_batches_repeat_and_resume(source, first_step):
    # Step 1 lies in the first epoch of two steps, step 3 in the second.
    batches = files.take(pairs(source, Plain(), 4, seed=3, endless=True), 5)
    # The global seed must not matter.
    keras.utils.set_random_seed(1)
    resumed = pairs(source, Plain(), 4, seed=3, endless=True, first_step=first_step)
    files.assert_equal(files.take(resumed, 5 - first_step), batches[first_step:])
    other = files.take(pairs(source, Plain(), 4, seed=4, endless=True), 5)
    assert shown(other) != shown(batches)


@pytest.mark.slow  # Compiles the views once more.
def test_real_views_of_images_of_different_sizes(tmp_path):
    source = load(files.write_many(tmp_path / "mixed", 6))
    first, second = files.take(pairs(source, SMALL, 3, endless=True), 2)
    for view_a, view_b in first, second:
        assert view_a.shape == view_b.shape == (3, 8, 8, 3)
        assert view_a.dtype == view_b.dtype == np.float32
        assert np.abs(view_a - view_b).max() > 0.1
    (resumed,) = files.take(pairs(source, SMALL, 3, endless=True, first_step=1), 1)
    files.assert_equal(resumed, second)


def test_real_views_of_images_in_memory():
    images = next(iter(load("shipped", "test").dataset().batch(8)))[0]
    source = from_dataset(tf.data.Dataset.from_tensor_slices(images))
    (batch,) = files.take(pairs(source, SMALL, 8, seed=5), 1)
    seed = tf.constant([5, 0], tf.int64)
    expected = SMALL(tf.gather(images, epoch_order(8, seed)), seed=seed)
    files.assert_equal(batch, files.arrays([expected])[0])


def test_an_epoch_has_every_image_once_in_a_new_order(source):
    batches = files.take(pairs(source, Plain(), 5, endless=True), 6)
    epochs = [shown(batches[i : i + 2]) for i in (0, 2, 4)]
    assert len(set(epochs[0])) == 10
    assert set(epochs[0]) == set(epochs[1]) == set(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_seed_and_step_reach_the_views(source):
    batches = files.take(
        pairs(source, Plain(), 4, seed=7, endless=True, first_step=1), 3
    )
    assert [seeds[0, :2].tolist() for _, seeds in batches] == [[7, 1], [7, 2], [7, 3]]


def test_iterations_of_the_finite_form_are_the_endless_sequence(source):
    finite = pairs(source, Plain(), 3, first_step=4)
    assert finite.cardinality() == 3
    found = [batch for _ in range(3) for batch in files.arrays(finite)]
    endless = pairs(source, Plain(), 3, endless=True, first_step=4)
    files.assert_equal(found, files.take(endless, 9))


@pytest.mark.parametrize("endless", [False, True])
def test_fixed_views_are_the_same_in_each_epoch(source, endless):
    first = files.take(pairs(source, Plain(), 3, first_step=4), 3)
    fixed = pairs(source, Plain(), 3, 0, "train", endless, 4, fixed_views=True)
    assert fixed.cardinality() == (tf.data.INFINITE_CARDINALITY if endless else 3)
    for _ in range(2):
        found = files.take(fixed, 6 if endless else 3)
        files.assert_equal(found, [*first, *first] if endless else first)


def test_views_and_images_of_other_bands_are_refused():
    gray = tf.data.Dataset.from_tensor_slices(np.zeros((8, 6, 5, 1), np.uint8))
    with pytest.raises(UsageError, match=r"\(H, W, 1\), .* repeat gray .*channels=3"):
        pairs(gray, SMALL, 4)
    of_two = views(8, "small", ((0.5, 0.5), (0.2, 0.2)))
    with pytest.raises(UsageError, match=r"\(H, W, 3\), .* \(H, W, 2\): give views"):
        pairs(in_memory(), of_two, 4)


def test_the_order_does_not_depend_on_threads(source):
    dataset = pairs(source, Plain(), 4, endless=True)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    files.assert_equal(
        files.take(dataset.with_options(options), 3), files.take(dataset, 3)
    )


def test_a_plain_function_of_images_of_one_size():
    def halves(images, seed):
        return images[:, :3], images[:, 3:]

    view_a, view_b = next(iter(pairs(in_memory(), halves, 4)))
    assert view_a.shape == view_b.shape == (4, 3, 5, 3)


def test_each_epoch_of_fit_gets_a_new_epoch_of_data():
    seen = []

    class Spy(keras.Model):
        def train_step(self, batch):
            tf.py_function(lambda step: seen.append(step.numpy()), [batch[1][0, 1]], [])
            return {"loss": 0.0}

    spy = Spy()
    spy.built = True
    spy.compile()
    spy.fit(pairs(in_memory(), Plain(), 5), epochs=3, verbose=0, shuffle=False)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_replicas_together_get_the_batches_of_one_device(replicas, source):
    expected = files.take(pairs(source, Plain(), 4), 2)
    strategy = replicas(2)
    with strategy.scope():
        dataset = pairs(source, Plain(), 4)
    found = [
        tuple(
            np.concatenate(strategy.experimental_local_results(view)) for view in pair
        )
        for pair in strategy.experimental_distribute_dataset(dataset)
    ]
    files.assert_equal(found, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 1}, "cross-correlation needs at least 2"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 11}, "batch_size is 11.* has 10 images"),
        ({"batch_size": 4, "first_step": -1}, "first_step=-1"),
    ],
)
def test_batches_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        pairs(in_memory(), SMALL, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 8.0}, "batch_size=8.0 must be an integer"),
        ({"batch_size": "8"}, "batch_size='8' must be an integer"),
        ({"batch_size": True}, "batch_size=True must be an integer"),
        ({"batch_size": None}, "batch_size=None must be an integer"),
        ({"views": bt_keras.views}, "views=the function views cannot be called"),
        ({"views": 8}, "views=8 cannot be called"),
        ({"views": lambda images: images}, "cannot be called as views\\(images, seed"),
        ({"views": None}, "views=None cannot be called"),
        ({"source": 3}, "source of images is"),
        ({"source": None}, "source of images is"),
        ({"source": np.zeros((8, 8, 8, 3), "uint8")}, "source of images is"),
        ({"source": SMALL, "views": in_memory()}, "source of images is"),
        ({"seed": "1"}, "seed='1' must be an integer"),
        ({"seed": 1.5}, "seed=1.5 must be an integer"),
        ({"seed": 2**64}, "seed=18446744073709551616 must be"),
        ({"first_step": 1.0}, "first_step=1.0 must be an integer"),
        ({"split": 3}, "split=3 must be a string"),
        ({"endless": "no"}, "endless='no' is not one of"),
    ],
)
def test_arguments_of_another_kind_are_one_line(arguments, message):
    valid = {"source": in_memory(), "views": SMALL, "batch_size": 4}
    with pytest.raises(UsageError, match=message) as error:
        pairs(**(valid | arguments))
    assert len(str(error.value).splitlines()) == 1


def test_numbers_of_numpy_are_accepted():
    batch = next(iter(pairs(in_memory(), Plain(), np.int64(4), seed=np.int32(3))))
    assert batch[0].shape[0] == 4


def test_a_plain_function_of_images_of_different_sizes_is_refused(tmp_path):
    files.write_many(tmp_path, 4)
    with pytest.raises(UsageError, match="different or unknown sizes"):
        pairs(tmp_path, lambda images, seed: (images, images), 2)


def test_elements_that_are_not_images_are_refused():
    with pytest.raises(UsageError, match="not images"):
        pairs(tf.data.Dataset.range(10), SMALL, 2)


def test_the_warning_of_small_images_appears_once(caplog):
    for _ in range(2):
        pairs(in_memory(), Plain(11), 4)
    assert caplog.text.count("5 pixels on a side") == 1


@pytest.mark.parametrize("in_memory_bytes", [2**30, 0], ids=["memory", "stream"])
def test_labels_are_those_of_the_images(monkeypatch, in_memory_bytes):
    monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", in_memory_bytes)
    source = labeled()
    plain = files.take(pairs(source, Plain(), 4, seed=3, endless=True), 5)
    made = pairs(source, Plain(), 4, seed=3, endless=True, labels=True)
    assert made.element_spec[1] == tf.TensorSpec((4,), tf.int64)
    for (pair, labels), expected in zip(made.take(5), plain, strict=True):
        files.assert_equal(files.arrays([pair]), [expected])
        assert shown([pair]) == [20 * int(label) for label in labels]


def test_labels_of_files_of_different_sizes(tmp_path):
    folder = tiny.write_images(tmp_path / "images", 2)
    larger = tiny.write_images(tmp_path / "larger", 1, size=14) / "train"
    for name in ("dark", "light"):
        (larger / name / "0.png").rename(folder / "train" / name / "larger.png")
    source = load(folder)
    assert source.image_shape == (None, None, 3)
    [((view_a, _), labels)] = list(pairs(source, Plain(), 6, labels=True))
    is_light = np.mean(view_a, axis=(1, 2, 3)) > 115
    np.testing.assert_array_equal(labels, is_light)
    assert is_light.sum() == 3


def labeled():
    """Ten images of one color each, which is 20 times their label."""
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(10)))
    return from_dataset(dataset, class_names=[str(number) for number in range(10)])


def test_labels_of_images_without_labels_are_one_line():
    with pytest.raises(UsageError, match="a dataset with labels=True needs labels"):
        pairs(in_memory(), Plain(), 4, labels=True)


@pytest.mark.parametrize("has_labels", [False, True])
def test_elements_are_split(has_labels):
    made = pairs(labeled(), Plain(), 4, labels=has_labels)
    views, label = split_labels(next(iter(made)))
    assert [len(view) for view in views] == [4, 4]
    assert (label is not None) == has_labels
