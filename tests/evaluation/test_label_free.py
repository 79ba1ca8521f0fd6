"""The scores of a run's network, compared with NumPy on its own outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import data, scores
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.label_free import LabelFree
from bt_keras.evaluation.pretext import Pretext
from bt_keras.evaluation.tables import results_table
from tests.evaluation.gray import small_backbone

BATCH, LAMBD = 16, 0.02


def images(count, seed):
    """A source of images of different sizes, without labels."""
    rng = np.random.default_rng(seed)
    sizes = [(8 + i % 3, 10 - i % 2) for i in range(count)]
    arrays = [rng.integers(0, 256, (*size, 3), "uint8") for size in sizes]
    spec = tf.TensorSpec((None, None, 3), tf.uint8)
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(arrays), output_signature=spec
    )
    return data.from_dataset(
        dataset.apply(tf.data.experimental.assert_cardinality(count))
    )


@pytest.fixture(scope="module")
def network():
    backbone = small_backbone()
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(12, "relu")(inputs)
    return backbone, keras.Model(inputs, keras.layers.Dense(40)(hidden))


def freeze(network, pretext=True, projector=True, test_seed=1):
    backbone, head = network
    load = (lambda: head) if projector else None
    known = Pretext(bt_keras.views(8, "small"), 7, load, LAMBD, BATCH)
    train, test = images(40, 0), images(37, test_seed)
    test = test if test_seed else train
    return FrozenBackbone(
        *(backbone, train, test, 8, 1.0, 16, False),
        pretext=known if pretext else None,
    )


def measure(frozen, **arguments):
    settings = {"lidar_images": 5, "augmentations": 7, **arguments}
    [results] = LabelFree(**settings).run(frozen)
    return {(r.metric, r.settings["of"]): r for r in results}


def test_all_scores_of_a_run(network, capsys):
    frozen = freeze(network)
    found = measure(frozen, rank_images=20)
    features = frozen.train.features
    embeddings = network[1](features).numpy()
    clid = scores.clid(features)
    expected = {
        ("rankme", "features"): (scores.effective_rank(features[::2]), 20),
        ("alpha_req", "features"): (scores.alpha_req(features), 40),
        ("clid_learnability", "features"): (clid.learnability, 40),
        ("clid_dimension", "features"): (clid.dimension, 40),
        ("rankme", "embeddings"): (scores.effective_rank(embeddings[::2]), 20),
    }
    for key, (value, count) in expected.items():
        assert found[key].value == pytest.approx(value, rel=1e-4), key
        assert found[key].n == count
    others = {"lidar", "loss", "loss_floor", "loss_over_floor"}
    assert {key[0] for key in found} - {key[0] for key in expected} == others
    assert capsys.readouterr().out == ""


def test_lidar_is_of_the_views_of_spaced_images(network):
    frozen = freeze(network)
    result = measure(frozen)["lidar", "embeddings"]
    assert (result.n, result.settings["augmentations"]) == (5, 7)
    backbone, projector = network
    pixels = [image.numpy() for image, _ in frozen.train_source.dataset()]
    views, rows = frozen.pretext.views, []
    for number in range(5):
        copies = np.stack([pixels[8 * number]] * 4)
        a, b = views(copies, seed=(7, number))
        ordered = [view for pair in zip(a, b, strict=True) for view in pair][:7]
        rows.append(projector(backbone(np.stack(ordered))).numpy())
    assert result.value == pytest.approx(scores.lidar(np.stack(rows)), rel=1e-3)


def test_the_loss_of_held_out_pairs(network):
    frozen = freeze(network)
    found = measure(frozen)
    backbone, projector = network
    pairs = list(
        data.pairs(frozen.test_source, frozen.pretext.views, BATCH, 7, fixed_views=True)
    )
    assert len(pairs) == 2
    losses = []
    for pair in pairs:
        z = [projector(backbone(view)).numpy().astype("float64") for view in pair]
        a, b = ((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) for x in z)
        matrix = a.T @ b / BATCH
        rest = np.square(matrix).sum() - np.square(np.diag(matrix)).sum()
        losses.append(np.square(1 - np.diag(matrix)).sum() + LAMBD * rest)
    result = found["loss", "embeddings"]
    assert result.value == pytest.approx(np.mean(losses), rel=1e-4)
    assert result.n == 32
    floor = scores.loss_floor(BATCH, 40, LAMBD)
    assert found["loss_floor", "embeddings"].value == pytest.approx(floor)
    over = found["loss_over_floor", "embeddings"].value
    assert over == pytest.approx((np.mean(losses) - floor) / 40, rel=1e-4)
    assert over > 0


def test_a_module_has_no_projector(network, capsys):
    found = measure(freeze(network, projector=False))
    assert ("lidar", "features") in found
    assert {of for _, of in found} == {"features"}
    assert "no embeddings and no loss: the projector of a module is not used" in (
        capsys.readouterr().out
    )


def test_a_module_without_views(network, capsys):
    found = measure(freeze(network, pretext=False))
    assert len(found) == 4
    assert "no LiDAR" in capsys.readouterr().out


def test_no_held_out_images(network, capsys):
    found = measure(freeze(network, test_seed=0))
    assert ("loss", "embeddings") not in found
    assert "the test images are the training images" in capsys.readouterr().out


def test_the_table_has_a_line_for_each_score(network):
    found = measure(freeze(network))
    table = results_table([*found.values(), *found.values()])
    lines = [line.split() for line in table.splitlines()]
    assert lines[0][:4] == ["score", "of", "value", "images"]
    assert len(lines) == 2 + len(found)
    assert lines[2][:2] == ["rankme", "features"]


@pytest.mark.parametrize(
    "name", ["rank_images", "cluster_images", "lidar_images", "augmentations"]
)
def test_values_out_of_range_are_named(name):
    with pytest.raises(bt_keras.UsageError, match=f"{name}=1"):
        LabelFree(**{name: 1})
