import keras
import numpy as np

import bt_keras
from bt_keras.export.unfreeze import unfrozen
from tests.exported import small_model


def flags(model):
    layers = [layer.trainable for layer in model._flatten_layers()]
    return layers + [variable.trainable for variable in model.variables]


def test_all_flags_are_restored():
    inner = small_model().backbone
    images = keras.Input((None, None, 3))
    model = keras.Model(images, keras.layers.Dense(2)(inner(images)))
    model.trainable = False
    model.layers[-1].trainable = True
    inner.get_layer("bn1").trainable = True
    model.layers[-1].bias.trainable = False
    before = flags(model)
    with unfrozen(model, None):
        assert all(layer.trainable for layer in model._flatten_layers())
        # A variable that is frozen by itself stays so in Keras, too.
        assert len(model.trainable_variables) == 1 + len(
            small_model().backbone.trainable_variables
        )
    assert flags(model) == before


def test_an_exported_frozen_backbone_can_be_trained(tmp_path):
    model = small_model()
    count = len(model.backbone.trainable_variables)
    model.backbone.trainable = False
    bt_keras.export_backbone(model, tmp_path / "module", image_size=32)
    assert not model.backbone.trainable_variables
    images = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype("float32")
    for load in (bt_keras.load_backbone, bt_keras.hub.HubBackbone):
        layer = load(tmp_path / "module", trainable=True)
        assert len(layer.trainable_variables) == count
        before = [v.numpy() for v in layer.non_trainable_variables]
        layer(images, training=True)
        assert all(
            np.any(old != new.numpy())
            for old, new in zip(before, layer.non_trainable_variables, strict=True)
        )
