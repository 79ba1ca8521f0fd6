import json

import keras
import pytest

import bt_keras
from bt_keras.hub import architecture
from bt_keras.networks.resnet import resnet


def network():
    """Returns the configuration of a network that has one activation function."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Activation(keras.activations.relu6)(
        keras.layers.Conv2D(2, 3)(images)
    )
    x = keras.layers.GlobalAveragePooling2D()(x + 1.0)
    return json.loads(keras.Model(images, x).to_json())


def layer(config, class_name):
    (found,) = (x for x in config["config"]["layers"] if x["class_name"] == class_name)
    return found


def test_networks_of_keras_and_registered_layers_are_built():
    assert architecture.build(network()).output_shape == (None, 2)
    config = json.loads(resnet(6, width=0.1).to_json())
    assert architecture.build(config).count_params() > 0
    backbone = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, include_top=False, pooling="avg"
    )
    config = json.loads(backbone.to_json())
    assert architecture.build(config).count_params() == backbone.count_params()


def test_arguments_of_a_newer_keras_that_are_none_are_left_out(monkeypatch):
    monkeypatch.setattr(architecture, "_NEWER", ("novelty",))
    config = network()
    layer(config, "Conv2D")["config"]["novelty"] = None
    assert architecture.build(config).output_shape == (None, 2)
    layer(config, "Conv2D")["config"]["novelty"] = 1
    with pytest.raises(bt_keras.UsageError):
        architecture.build(config)


def test_networks_are_not_compiled():
    config = network()
    optimizer = {"module": "keras.optimizers", "class_name": "Adam", "config": {}}
    config["compile_config"] = {"optimizer": optimizer}
    assert not architecture.build(config).compiled


def test_the_policy_replaces_that_of_most_layers():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16", name="a")(images)
    x = keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16", name="b")(x)
    x = keras.layers.GlobalAveragePooling2D(dtype="float32", name="c")(x)
    config = json.loads(keras.Model(images, x).to_json())
    assert architecture.is_mixed(config)

    def dtypes(model):
        return [model.get_layer(name).compute_dtype for name in "abc"]

    assert dtypes(architecture.build(config)) == ["bfloat16", "bfloat16", "float32"]
    changed = architecture.build(config, "mixed_float16")
    assert dtypes(changed) == ["float16", "float16", "float32"]
    assert dtypes(architecture.build(config, "float32")) == ["float32"] * 3
    assert not architecture.is_mixed(network())


# What a layer of a hostile module would name instead of its class, its activation or a
# part of its configuration.
CLASSES = [
    ("keras.layers", "Lambda"),
    ("keras.src.layers.core.lambda_layer", "Lambda"),
    ("keras.layers", "TFSMLayer"),
    ("keras.layers", "TorchModuleWrapper"),
    ("keras.layers", "TextVectorization"),
    ("keras.layers", "StringLookup"),
    ("keras.src.layers.preprocessing.index_lookup", "IndexLookup"),
    ("keras.layers", "NoSuchLayer"),
    ("keras.optimizers", "Adam"),
    ("keras.utils", "PyDataset"),
    ("builtins", "exec"),
    ("os", "system"),
    ("subprocess", "Popen"),
    ("this", "zen"),
    ("tests.models", "Subclass"),
    ("keras_cv.layers", "Augmenter"),
    ("keras.src.utils.file_utils", "Path"),
    (None, "Lambda"),
    (7, "Conv2D"),
    ("keras.layers", ["Conv2D"]),
]
FUNCTIONS = [
    ("builtins", "exec"),
    ("keras.utils", "get_file"),
    ("keras.models", "load_model"),
    ("os", "system"),
    ("builtins", ["relu"]),
    ("this", "relu"),
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_classes_that_are_no_parts_of_networks_are_refused(module, name):
    config = network()
    named = layer(config, "Conv2D")
    named |= {"module": module, "class_name": name, "registered_name": None}
    refused(config)
    config = network()
    inner = layer(config, "Conv2D")["config"]["kernel_initializer"]
    inner |= {"module": module, "class_name": name, "registered_name": None}
    refused(config)


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_functions_that_are_no_activations_are_refused(module, name):
    config = network()
    layer(config, "Activation")["config"]["activation"] = {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }
    refused(config)


def a_lambda(config):
    code = {"class_name": "__lambda__", "config": {"value": ["", None, None]}}
    layer(config, "Activation")["config"]["activation"] = code


def a_typespec(config):
    layer(config, "Activation")["config"]["activation"] = {
        "class_name": "__typespec__",
        "module": "os",
        "spec_name": "system",
        "registered_name": None,
        "config": [],
    }


def a_layer_of_the_legacy_format(config):
    del layer(config, "Conv2D")["module"]


def a_module_within_the_module(config):
    named = layer(config, "Conv2D")
    named["registered_name"] = "bt_keras>HubBackbone"
    named["config"] = {"handle": "https://tfhub.dev/somebody/else/1"}


def a_value_with_a_module(config):
    named = layer(config, "Conv2D")
    named |= {"class_name": "__numpy__", "module": "os"}


@pytest.mark.parametrize(
    "change",
    [
        a_lambda,
        a_typespec,
        a_layer_of_the_legacy_format,
        a_module_within_the_module,
        a_value_with_a_module,
    ],
)
def test_other_ways_to_name_objects_are_refused(change):
    config = network()
    change(config)
    refused(config)


@pytest.mark.parametrize("config", [None, [], "Conv2D", {}, {"class_name": "Model"}])
def test_what_is_no_network_is_refused(config):
    refused(config)


def test_a_part_of_a_network_is_refused():
    config = json.loads(
        json.dumps(keras.saving.serialize_keras_object(keras.initializers.Zeros()))
    )
    with pytest.raises(bt_keras.UsageError, match="not a model"):
        architecture.build(config)


def refused(config):
    with pytest.raises(bt_keras.UsageError) as error:
        architecture.build(config)
    assert "\n" not in str(error.value)
