"""Keras callbacks that users put into `fit`."""

from bt_keras.callbacks.monitor import RepresentationMonitor
from bt_keras.callbacks.online_knn import OnlineKNN
from bt_keras.callbacks.online_linear_probe import OnlineLinearProbe

__all__ = ["OnlineKNN", "OnlineLinearProbe", "RepresentationMonitor"]
