"""Private names of Keras, TensorFlow and TensorFlow Hub that the package uses.

Any release may change them: these tests then say which name is gone. The lists are
complete, or a test fails.
"""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from tensorflow_hub import compressed_module_resolver

import bt_keras

PACKAGE = Path(bt_keras.__file__).parent


def optimizer():
    built = keras.optimizers.SGD(0.1)
    built.build([keras.Variable([1.0])])
    return built


def http_resolver():
    return compressed_module_resolver.HttpCompressedFileResolver()


def distributed_dataset():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return strategy.distribute_datasets_from_function(
        lambda context: tf.data.Dataset.range(4)
    )


def called_layer():
    layer = keras.layers.ReLU()
    layer(keras.Input((2,)))
    return layer


# For each name, a function that returns an object that has it.
USED = {
    "_HUB_TF_GOOGLE_CN": lambda: compressed_module_resolver,
    "_append_compressed_format_query": http_resolver,
    "_build_at_init": keras.layers.ReLU,
    "_call_urlopen": http_resolver,
    "_cardinality": distributed_dataset,
    "_flatten_layers": keras.layers.ReLU,
    "_get_variable_index": optimizer,
    "_inbound_nodes": called_layer,
    "_initialize": lambda: keras.Variable([1.0]),
    "_keras_history": lambda: keras.Input((2,)),
    "_learning_rate": optimizer,
    "_module_dir": lambda: compressed_module_resolver,
    "_track_variable": keras.layers.ReLU,
    "_unique_id": lambda: keras.Variable([1.0]).value,
    "_untrack_variable": optimizer,
    "_use_weight_decay": optimizer,
}
# Methods of Keras that a class of the package replaces.
REPLACED = {"BarlowTwins._maybe_symbolic_build": keras.Model}


@pytest.mark.parametrize("name", USED)
def test_used_name_exists(name):
    assert hasattr(USED[name](), name)


@pytest.mark.parametrize("name", REPLACED)
def test_replaced_method_exists(name):
    assert callable(getattr(REPLACED[name], name.partition(".")[2], None))


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def test_list_of_used_names_is_complete():
    ours, used = set(), set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                ours.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                ours.add(node.id)
            elif isinstance(node, ast.Attribute) and is_private(node.attr):
                of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                if of_self and isinstance(node.ctx, ast.Store):
                    ours.add(node.attr)
                used.add(node.attr)
    # `_make` and `_asdict` are public names of `collections.namedtuple`.
    assert used - ours - {"_make", "_asdict"} == set(USED)


def test_list_of_replaced_methods_is_complete():
    replaced = set()
    for cls in keras_classes():
        for name in filter(is_private, vars(cls)):
            bases = [base for base in cls.__mro__[1:] if is_of_keras(base)]
            if any(name in vars(base) for base in bases):
                replaced.add(f"{cls.__name__}.{name}")
    # The registry of serializable classes and `abc` add attributes to classes.
    assert {name for name in replaced if "._abc_" not in name} == set(REPLACED)


def keras_classes():
    """Yields the classes of the package that derive from one of Keras."""
    for module in pkgutil.walk_packages(bt_keras.__path__, "bt_keras."):
        if module.name.endswith(("__main__", "verify_in_subprocess", "shipped.make")):
            continue  # Programs.
        for _, cls in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            if cls.__module__.startswith("bt_keras") and any(
                map(is_of_keras, cls.__mro__)
            ):
                yield cls


def is_of_keras(cls):
    return cls.__module__.startswith("keras.")
