"""Networks: ResNet backbones, the projector, inputs and outputs of any backbone."""

from bt_keras.networks.batch_norm import BatchNormalization
from bt_keras.networks.by_name import network_by_name
from bt_keras.networks.convolution import Conv2D
from bt_keras.networks.feature_maps import feature_dim, feature_maps
from bt_keras.networks.image_classifier import ImageClassifier, image_classifier
from bt_keras.networks.image_normalization import behind_normalization, statistics_of
from bt_keras.networks.input_specs import as_model, input_specs
from bt_keras.networks.loaded_backbone import LoadedBackbone
from bt_keras.networks.projector import projector
from bt_keras.networks.rescaling import input_rescaling
from bt_keras.networks.resnet import resnet

__all__ = [
    "BatchNormalization",
    "Conv2D",
    "ImageClassifier",
    "LoadedBackbone",
    "as_model",
    "behind_normalization",
    "feature_dim",
    "feature_maps",
    "image_classifier",
    "input_rescaling",
    "input_specs",
    "network_by_name",
    "projector",
    "resnet",
    "statistics_of",
]
