"""Loading of exported modules: from folders, archives and TensorFlow Hub."""

from bt_keras.hub.hub_backbone import HubBackbone, load_backbone
from bt_keras.hub.metadata import read_backbone

__all__ = ["HubBackbone", "load_backbone", "read_backbone"]
