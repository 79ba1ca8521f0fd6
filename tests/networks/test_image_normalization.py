import keras
import pytest

import bt_keras
from bt_keras.hub import HubBackbone
from bt_keras.networks import behind_normalization, feature_maps
from tests.conftest import relative_error
from tests.exported import MEAN, STD


def normalized(images):
    return ((images - MEAN) / STD).astype("float32")


@pytest.mark.parametrize("return_endpoints", [False, True])
def test_the_layers_behind_take_normalized_images(exported, return_endpoints):
    loaded = bt_keras.load_backbone(
        exported.folder, trainable=True, return_endpoints=return_endpoints
    )
    behind = behind_normalization(loaded)
    features = behind(normalized(exported.images))
    assert relative_error(features, exported.features()) < 1e-5
    assert list(feature_maps(behind)) == [4, 8, 16, 32]
    # The weights are shared.
    ours, theirs = (
        {id(v) for v in model.trainable_variables} for model in (behind, loaded)
    )
    assert ours == theirs
    # The tensors of the layers are still those of the loaded model.
    own = keras.Model(loaded.input, loaded.get_layer("layer1_0_relu").output)
    assert own(exported.images).shape == (4, 8, 8, 4)


def test_models_on_the_tensors_of_a_loaded_backbone(exported):
    loaded = bt_keras.load_backbone(exported.folder, trainable=True)
    head = keras.layers.Dense(5)
    whole = keras.Model(loaded.input, head(loaded.output))
    behind = behind_normalization(whole)
    expected = head(exported.features())
    outputs = behind(normalized(exported.images))
    assert relative_error(outputs, expected) < 1e-5


def test_other_backbones_are_returned_unchanged(exported):
    for backbone in (exported.model.backbone, keras.Sequential([keras.Input((4,))])):
        assert behind_normalization(backbone) is backbone


def test_backbones_that_would_normalize_twice_are_one_line(exported):
    loaded = bt_keras.load_backbone(exported.folder)
    graph = HubBackbone(exported.folder)
    for backbone, reason in (
        (keras.Sequential([loaded, keras.layers.Dense(4)]), "build it on the tensors"),
        (keras.Sequential([graph, keras.layers.Dense(4)]), "build it on the tensors"),
        (graph, "without an architecture"),
    ):
        for use in (bt_keras.BarlowTwins, bt_keras.export_backbone):
            with pytest.raises(bt_keras.UsageError, match=reason) as error:
                use(backbone, "module")
            assert "\n" not in str(error.value)
