"""Loading of exported modules: from folders, archives and TensorFlow Hub."""

from bt_keras.hub.hub_backbone import HubBackbone
from bt_keras.hub.load_backbone import load_backbone
from bt_keras.hub.rebuild import read_backbone

__all__ = ["HubBackbone", "load_backbone", "read_backbone"]
