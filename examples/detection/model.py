"""A keras-cv RetinaNet with an exported module as its backbone."""

import math
import re

import keras
import keras_cv

import bt_keras

# Anchor sides in pixels, one per level, each also multiplied by 2^(1/3) and 2^(2/3).
_ANCHORS = (16.0, 32.0, 64.0, 128.0, 256.0)
_SCALES = tuple(2 ** (i / 3) for i in range(3))
_RATIOS = (0.5, 1.0, 2.0)
_BOXES = "xyxy"
# Of the feature pyramid and the heads. keras-cv uses 256, which is slow on a CPU.
_CHANNELS = 64


def retinanet(module, num_classes, size, pretrained=True):
    """Builds a trainable RetinaNet with an exported backbone.

    Args:
        module: String, a handle for `bt_keras.load_backbone`.
        num_classes: Integer, number of classes.
        size: Integer, side of the square images in pixels, a multiple of the backbone's
            largest stride.
        pretrained: Boolean, whether to keep the module's weights instead of
            initializing them randomly. Defaults to `True`.

    Returns:
        `keras_cv.models.RetinaNet` that maps images (N, size, size, 3) in [0, 1] to
        boxes.
    """
    layer = bt_keras.load_backbone(module, trainable=True, return_endpoints=True)
    backbone, strides = pyramid(layer, size)
    anchors = len(_SCALES) * len(_RATIOS)
    # Initially, every anchor has an object with probability 0.01: this stabilizes the
    # first steps.
    prior = keras.initializers.Constant(-math.log(99))
    detector = keras_cv.models.RetinaNet(
        backbone=backbone,
        num_classes=num_classes,
        bounding_box_format=_BOXES,
        anchor_generator=_anchors(strides),
        feature_pyramid=FeaturePyramid(_CHANNELS),
        classification_head=_head(anchors * num_classes, prior),
        box_head=_head(anchors * 4, "zeros"),
        prediction_decoder=keras_cv.layers.NonMaxSuppression(
            bounding_box_format=_BOXES,
            from_logits=True,
            # AP includes detections of low confidence.
            confidence_threshold=0.01,
        ),
    )
    if not pretrained:  # Last, so that both have the same heads for a seed.
        reinitialize(layer, module)
    return detector


def _anchors(strides):
    return keras_cv.layers.AnchorGenerator(
        bounding_box_format=_BOXES,
        sizes=list(_ANCHORS),
        scales=list(_SCALES),
        aspect_ratios=list(_RATIOS),
        strides=strides,
        clip_boxes=True,
    )


def check(module, size):
    """Raises `bt_keras.UsageError` if the module cannot be used for a detector."""
    pyramid(bt_keras.load_backbone(module, return_endpoints=True), size)


def pyramid(layer, size):
    """Converts a layer with endpoints to a backbone for keras-cv's detectors.

    Args:
        layer: Result of `bt_keras.load_backbone(..., return_endpoints=True)`.
        size: Integer, side of the square images in pixels.

    Returns:
        `(backbone, strides)`: `keras.Model` with `pyramid_level_inputs`, and list of
        int, the strides of the levels P3 to P7.

    Raises:
        bt_keras.UsageError: If there are fewer than three feature maps, or the size is
            not a multiple of the largest stride.
    """
    images = keras.Input((size, size, 3), name="images")
    endpoints = layer(images)
    strides = sorted(int(n) for n in re.findall(r"stride(\d+)", " ".join(endpoints)))
    if len(strides) < 3 or size % strides[-1]:
        raise bt_keras.UsageError(
            f"the module's feature maps have strides {strides}: the detector needs "
            f"three, and a size that is a multiple of the last, not {size}."
        )
    levels = dict(zip(("P3", "P4", "P5"), strides[-3:], strict=True))
    # keras-cv finds feature maps by the names of their layers.
    outputs = {
        level: keras.layers.Identity(name=level)(endpoints[f"stride{stride}"])
        for level, stride in levels.items()
    }
    backbone = keras.Model(images, outputs)
    backbone.pyramid_level_inputs = {level: level for level in levels}
    largest = strides[-1]
    return backbone, [*levels.values(), 2 * largest, 4 * largest]


def reinitialize(layer, module):
    """Initializes the weights of a loaded backbone randomly."""
    backbone, _ = bt_keras.hub.read_backbone(module)
    untrained = keras.models.clone_model(backbone)
    for variable, value in zip(layer.variables, untrained.variables, strict=True):
        variable.assign(value)


class FeaturePyramid(keras.layers.Layer):
    """keras-cv's `FeaturePyramid` with a configurable number of channels.

    Args:
        channels: Integer, channels of each of its five feature maps.

    Input: dict of the feature maps P3, P4, P5. Output: tuple of those of P3 to P7.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.lateral = {level: self._conv(1) for level in ("P3", "P4", "P5")}
        self.smooth = {level: self._conv(3) for level in ("P3", "P4", "P5")}
        self.p6, self.p7 = self._conv(3, strides=2), self._conv(3, strides=2)
        self.upsample = keras.layers.UpSampling2D(2)

    def _conv(self, kernel, strides=1):
        return keras.layers.Conv2D(self.channels, kernel, strides, padding="same")

    def build(self, input_shape):
        inner = (None, None, None, self.channels)
        for level, shape in input_shape.items():
            self.lateral[level].build(shape)
            self.smooth[level].build(inner)
        self.p6.build(input_shape["P5"])
        self.p7.build(inner)

    def call(self, inputs):
        p5 = self.lateral["P5"](inputs["P5"])
        p4 = self.lateral["P4"](inputs["P4"]) + self.upsample(p5)
        p3 = self.lateral["P3"](inputs["P3"]) + self.upsample(p4)
        p6 = self.p6(inputs["P5"])
        p7 = self.p7(keras.ops.relu(p6))
        p3, p4, p5 = (
            self.smooth[level](p) for level, p in (("P3", p3), ("P4", p4), ("P5", p5))
        )
        return p3, p4, p5, p6, p7


def _head(filters, bias):
    """Four convolutions, shared by all levels of the pyramid."""
    layers = [
        keras.layers.Conv2D(_CHANNELS, 3, padding="same", activation="relu")
        for _ in range(3)
    ]
    small = keras.initializers.RandomNormal(stddev=0.01)
    last = keras.layers.Conv2D(
        filters, 3, padding="same", kernel_initializer=small, bias_initializer=bias
    )
    maps = keras.Input((None, None, _CHANNELS))
    return keras.Sequential([maps, *layers, last])
