"""Networks: ResNet backbones, the projector, and the shapes of any backbone."""

from bt_keras.networks.batch_norm import BatchNormalization
from bt_keras.networks.feature_maps import feature_dim, feature_maps
from bt_keras.networks.projector import projector
from bt_keras.networks.resnet import resnet

__all__ = ["BatchNormalization", "feature_dim", "feature_maps", "projector", "resnet"]
