from bt_keras.networks.batch_norm import BatchNormalization
from bt_keras.networks.projector import projector
from bt_keras.networks.resnet import resnet

__all__ = ["BatchNormalization", "projector", "resnet"]
