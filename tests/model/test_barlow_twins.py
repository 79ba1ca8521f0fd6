import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import convert
from tests.conftest import half_precision, relative_error
from tests.models import Subclass, pairs, tiny
from tests.reference import weights


def train_as_recorded(recorded, depth, tolerance=2e-5):
    """Compares four steps with the official model: losses, statistics and weights."""
    reference = recorded(f"training_resnet{depth}")
    widths = tuple(int(w) for w in reference["projector"])
    batch, size = int(reference["batch"]), int(reference["size"])
    initial = weights.barlow_twins_state(depth, widths, int(reference["seed"]))
    model = convert.from_torch(initial)
    rate, bias_rate = (float(r) for r in reference["rates"])
    decay = float(reference["weight_decay"])
    model.compile(optimizer=bt_keras.LARS(rate, bias_rate, weight_decay=decay))
    assert model.lambd == reference["lambda"]
    for step, loss in enumerate(reference["loss"]):
        logs = model.train_on_batch(*weights.image_pair(batch, size, size, step))
        model.reset_metrics()
        logs = dict(zip(("loss", "invariance", "redundancy"), logs, strict=True))
        # Far below the change of one step: an idle optimizer must fail here.
        assert abs(logs["loss"] / loss - 1) < tolerance, step
        for term in ("invariance", "redundancy"):
            assert abs(logs[term] / reference[term][step] - 1) < tolerance, (term, step)
    compare_with_recording(convert.to_torch(model), initial, reference)


def compare_with_recording(final, initial, reference):
    for name, norm in zip(
        reference["parameters/names"], reference["parameters/update_norms"], strict=True
    ):
        update = np.linalg.norm(np.float64(final[name]) - initial[name])
        # LARS changes a weight by about 1e-4 of itself; float32 has seven digits.
        assert abs(update / norm - 1) < 2e-2, name
    compared = 0
    for key, expected in reference.items():
        kind, _, name = key.partition("/")
        if kind == "update":
            corner = tuple(slice(n) for n in expected.shape)
            update = (np.float64(final[name]) - initial[name])[corner]
            assert relative_error(update, expected) < 1e-2, name
        elif kind == "final" and not name.startswith("bn."):
            assert relative_error(final[name], expected) < 1e-5, name
        else:
            continue
        compared += 1
    assert compared == 15


def test_four_steps_equal_the_official_code_resnet18(recorded):
    train_as_recorded(recorded, 18)


@pytest.mark.slow
def test_four_steps_equal_the_official_code_resnet50(recorded):
    train_as_recorded(recorded, 50)


def test_fit_and_evaluate_log_the_loss_and_its_terms():
    model = tiny(lambd=0.01)
    model.compile(optimizer=bt_keras.LARS(0.2))
    history = model.fit(pairs(), epochs=3, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "invariance", "redundancy"}
    np.testing.assert_allclose(
        history["loss"],
        np.add(history["invariance"], 0.01 * np.array(history["redundancy"])),
        rtol=1e-5,
    )
    assert history["loss"][-1] < history["loss"][0]

    data = pairs(batches=1)
    logs = model.evaluate(data, return_dict=True, verbose=0)
    view_a, view_b = next(iter(data))
    embeddings = (model.projector(model(v)) for v in (view_a, view_b))
    expected = bt_keras.barlow_twins_loss(*embeddings, lambd=0.01)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_fit_with_labels_validation_data_and_callbacks(tmp_path):
    model = tiny()
    model.compile(optimizer="adam")
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_loss", save_best_only=True
    )
    history = model.fit(
        pairs(label=True),
        validation_data=pairs(label=True),
        callbacks=[best],
        shuffle=False,
        verbose=0,
    ).history
    assert "val_redundancy" in history
    assert (tmp_path / "best.keras").exists()


def test_batch_norm_uses_the_statistics_of_each_view():
    model = tiny()
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    norm = model.backbone.layers[2]
    view_a, view_b = next(iter(pairs()))
    conv = model.backbone.layers[1]
    means = [np.mean(conv(v), axis=(0, 1, 2)) for v in (view_a, view_b)]
    model.train_on_batch(view_a, view_b)
    expected = 0.9 * (0.1 * means[0]) + 0.1 * means[1]
    np.testing.assert_allclose(norm.moving_mean, expected, rtol=1e-4, atol=1e-6)


def test_layer_regularization_is_part_of_the_gradient():
    ratios = []
    for strength in (0.0, 10.0):
        keras.utils.set_random_seed(1)
        inputs = keras.Input((8, 8, 3))
        dense = keras.layers.Dense(
            4, kernel_regularizer=keras.regularizers.L2(strength)
        )
        backbone = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
        model = bt_keras.BarlowTwins(backbone, (8,))
        model.compile(optimizer=keras.optimizers.SGD(1e-2))
        before = np.linalg.norm(dense.kernel)
        model.train_on_batch(*next(iter(pairs())))
        ratios.append(np.linalg.norm(dense.kernel) / before)
    assert ratios[1] < ratios[0] - 0.1


def test_saved_model_and_saved_weights_load(tmp_path):
    model = tiny(lambd=0.02)
    model.compile(optimizer=bt_keras.LARS(bt_keras.WarmupCosine(0.2, 1, 10)))
    model.fit(pairs(), shuffle=False, verbose=0)
    images = next(iter(pairs()))[0]

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.lambd == 0.02
    assert loaded.optimizer.iterations == model.optimizer.iterations
    logs = [m.fit(pairs(), shuffle=False, verbose=0).history for m in (model, loaded)]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-6)

    model.save_weights(tmp_path / "model.weights.h5")
    fresh = tiny()
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(fresh(images), model(images))


@half_precision
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_with_float32_weights(policy):
    keras.config.set_dtype_policy(policy)
    model = tiny()
    model.compile(optimizer=bt_keras.LARS(0.2))
    history = model.fit(pairs(), epochs=2, shuffle=False, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert model(next(iter(pairs()))[0]).dtype == policy.removeprefix("mixed_")
    assert all(v.dtype == "float32" for v in model.trainable_variables)


def test_two_replicas_equal_one_device(replicas):
    def trained(strategy):
        with strategy.scope():
            keras.utils.set_random_seed(3)
            model = tiny()
            rate, bias_rate = (bt_keras.WarmupCosine(p, 2, 20) for p in (0.5, 1e-3))
            model.compile(optimizer=bt_keras.LARS(rate, bias_rate))
        logs = model.fit(pairs(batches=4), epochs=2, shuffle=False, verbose=0).history
        return logs, [v.numpy() for v in model.variables]

    one, weights_of_one = trained(tf.distribute.get_strategy())
    two, weights_of_two = trained(replicas(2))
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-4)
    for a, b in zip(weights_of_one, weights_of_two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.applications.MobileNet(
            input_shape=(32, 32, 3),
            alpha=0.25,
            include_top=False,
            pooling="avg",
            weights=None,
        ),
        lambda: keras.Sequential(
            [
                keras_cv.models.CSPDarkNetBackbone(
                    stackwise_channels=[8, 16, 16, 16],
                    stackwise_depth=[1, 1, 1, 1],
                    include_rescaling=False,
                    input_shape=(32, 32, 3),
                ),
                keras.layers.GlobalAveragePooling2D(),
            ]
        ),
    ],
    ids=["keras.applications", "keras_cv.models"],
)
def test_backbones_of_other_libraries_train(make):
    model = bt_keras.BarlowTwins(make(), (16, 16))
    # Eagerly: tracing a graph would take longer than the step.
    model.compile(optimizer="adam", run_eagerly=True)
    history = model.fit(pairs(1, size=32), shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_step_compiles_with_xla():
    model = tiny()
    model.compile(optimizer=bt_keras.LARS(0.2), jit_compile=True)
    history = model.fit(pairs(), shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_subclassed_backbone_trains_after_a_call():
    with pytest.raises(bt_keras.UsageError, match="not built"):
        bt_keras.BarlowTwins(Subclass(), (8,))
    backbone = Subclass()
    backbone(np.zeros((2, 8, 8, 3)))
    model = bt_keras.BarlowTwins(backbone, (8,))
    model.compile(optimizer="sgd")
    assert np.isfinite(model.fit(pairs(), shuffle=False, verbose=0).history["loss"][0])


def test_batch_of_one_is_reported():
    model = tiny()
    model.compile(optimizer="sgd")
    with pytest.raises(bt_keras.UsageError, match="fewer than 2 examples"):
        model.fit(pairs(batches=2, batch=1), shuffle=False, verbose=0)


def test_backbone_without_pooling_is_reported():
    backbone = keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3), include_top=False, weights=None
    )
    with pytest.raises(bt_keras.UsageError, match="GlobalAveragePooling2D"):
        bt_keras.BarlowTwins(backbone)


def test_data_without_pairs_of_images_are_reported():
    model = tiny()
    model.compile(optimizer="sgd")
    with pytest.raises(ValueError, match="view_a, view_b"):
        model.fit(np.zeros((4, 8, 8, 3)), shuffle=False, verbose=0)


def test_a_loaded_backbone_is_trained_without_its_normalization(exported):
    """Starting again from a module gives the losses of the model it came from."""
    kwargs = {"projector": (8, 6)}
    views = np.random.default_rng(0).normal(size=(2, 8, 32, 32, 3)).astype("float32")
    histories = []
    loaded = bt_keras.load_backbone(exported.folder, trainable=True)
    copy = keras.models.clone_model(exported.model.backbone)
    copy.set_weights(exported.model.backbone.get_weights())
    for backbone in (copy, loaded):
        keras.utils.set_random_seed(0)
        model = bt_keras.BarlowTwins(backbone, **kwargs)
        model.compile(bt_keras.LARS(0.1), jit_compile=False)
        fit = model.fit(*views, batch_size=8, epochs=3, shuffle=False, verbose=0)
        histories.append(fit.history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)
    # The loaded backbone has the trained weights.
    np.testing.assert_array_equal(
        model.backbone.get_weights()[0], loaded.get_weights()[0]
    )


def test_a_frozen_loaded_backbone_is_one_line(exported):
    with pytest.raises(
        bt_keras.UsageError, match="trainable=True to bt_keras"
    ) as error:
        bt_keras.BarlowTwins(bt_keras.load_backbone(exported.folder), (8, 6))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_evaluation_gives_the_same_bits_each_time():
    """TensorFlow merged the sums of a loss and of the metric in changing order."""
    keras.utils.set_random_seed(0)
    backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    model = bt_keras.BarlowTwins(backbone, (16, 16))
    model.compile(bt_keras.LARS(0.1))
    views = bt_keras.views(16, "small")
    dataset = bt_keras.pairs("shipped", views, 64, split="test", fixed_views=True)
    results = {tuple(model.evaluate(dataset, verbose=0)) for _ in range(6)}
    assert len(results) == 1
