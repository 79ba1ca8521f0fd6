"""Networks: ResNet backbones, the projector, and the shapes of any backbone."""

from bt_keras.networks.batch_norm import BatchNormalization
from bt_keras.networks.feature_maps import feature_dim, feature_maps
from bt_keras.networks.image_normalization import behind_normalization
from bt_keras.networks.loaded_backbone import LoadedBackbone
from bt_keras.networks.projector import projector
from bt_keras.networks.resnet import resnet

__all__ = [
    "BatchNormalization",
    "LoadedBackbone",
    "behind_normalization",
    "feature_dim",
    "feature_maps",
    "projector",
    "resnet",
]
