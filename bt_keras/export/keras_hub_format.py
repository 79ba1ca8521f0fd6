"""ResNets as presets of keras_hub, which run on every backend of Keras.

keras_hub's ResNet of `basic_block` or `bottleneck_block` has the arithmetic of
`bt_keras.resnet`: the stride of a bottleneck is in its 3x3 convolution, strided
convolutions are padded symmetrically, and batch norm has the same epsilon. It exists
only in full width, with the ImageNet stem, and with the features of the last stage.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from bt_keras.augmentation.statistics import Statistics
from bt_keras.errors import UsageError, shown

_FILTERS = (64, 128, 256, 512)
# A layer with weights in a block of `bt_keras.resnet`.
_BLOCK = re.compile(r"layer(\d+)_(\d+)_(?:(downsample)_|(conv|bn))(\d)")


def writer(
    backbone: keras.Model, image_size: int, statistics: Statistics
) -> Callable[[Path], None]:
    """Returns a function that writes a preset, see `formats`.

    Images of other sizes are resized, and cropped to a square of `image_size` pixels.

    Raises:
        UsageError: If keras_hub has no such network.
    """
    import keras_hub

    network = _network(keras_hub, backbone)
    scale, offset = _scale_and_offset(statistics)
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(image_size, image_size),
        scale=scale,
        offset=offset,
        interpolation="bilinear",
        antialias=True,
        dtype="float32",
    )
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(converter)

    def write(path):
        network.save_to_preset(str(path))
        preprocessor.save_to_preset(str(path))

    return write


def features(path: str | os.PathLike, images: np.ndarray) -> np.ndarray:
    """Computes features with a preset, see `formats`."""
    import keras_hub

    classifier = keras_hub.models.ImageClassifier.from_preset(str(path), num_classes=2)
    inputs = classifier.preprocessor(images * np.float32(255.0))
    outputs = classifier.pooler(classifier.backbone(inputs, training=False))
    return keras.ops.convert_to_numpy(outputs)


def _network(keras_hub, backbone):
    """Returns the ResNet of keras_hub with the weights of a backbone."""
    layers = {_name(layer.name): layer for layer in backbone.layers if layer.weights}
    _check_architecture(layers, backbone.name)
    blocks = [
        sum(f"stack{stage}_block{i}_1_conv" in layers for i in range(len(layers)))
        for stage in range(len(_FILTERS))
    ]
    block = "bottleneck" if "stack0_block0_3_conv" in layers else "basic"
    network = keras_hub.models.ResNetBackbone(
        input_conv_filters=[_FILTERS[0]],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=list(_FILTERS),
        stackwise_num_blocks=blocks,
        stackwise_num_strides=[1, 2, 2, 2],
        block_type=f"{block}_block",
        image_shape=(None, None, backbone.input_shape[-1]),
        data_format="channels_last",
        dtype="float32",
        name=backbone.name,
    )
    theirs = {layer.name: layer for layer in network.layers if layer.weights}
    if _shapes(theirs) != _shapes(layers):
        raise _not_a_resnet(backbone.name)
    for name, layer in theirs.items():
        layer.set_weights(layers[name].get_weights())
    return network


def _name(name):
    """Returns keras_hub's name of a layer of `bt_keras.resnet`."""
    if found := _BLOCK.fullmatch(name):
        stage, block, is_shortcut, kind, number = found.groups()
        if is_shortcut:
            kind, number = ("conv", "bn")[int(number)], 0
        return f"stack{int(stage) - 1}_block{block}_{number}_{kind}"
    return {"conv1": "conv1_conv", "bn1": "conv1_bn"}.get(name, name)


def _shapes(layers):
    return {name: [w.shape for w in each.weights] for name, each in layers.items()}


def _check_architecture(layers, name):
    """Raises `UsageError` for ResNets that keras_hub does not have."""
    conv, head = layers.get("conv1_conv"), layers.get("head_conv")
    if not isinstance(conv, keras.layers.Conv2D):
        raise _not_a_resnet(name)
    others = []
    if conv.filters != _FILTERS[0]:
        others.append(f"width {conv.filters / _FILTERS[0]:g}")
    if conv.kernel_size != (7, 7):
        others.append("the CIFAR stem")
    if isinstance(head, keras.layers.Conv2D):
        others.append(f"features={head.filters}")
    if others:
        raise UsageError(
            f"keras_hub has no ResNet with {' and '.join(others)}, only those of width "
            "1 with the ImageNet stem and features=0: export another --format, such as "
            "keras."
        )


def _not_a_resnet(name):
    return UsageError(
        f"the network {shown(name)} is not one of bt_keras.resnet, the only ones that "
        "become presets of keras_hub: export another --format, such as keras."
    )


def _scale_and_offset(statistics):
    """Returns what normalizes levels 0..255 as the statistics do images in [0, 1]."""
    pairs = [*zip(statistics.mean, statistics.deviation, strict=True)]
    return [1 / (255 * d) for _, d in pairs], [-m / d for m, d in pairs]
