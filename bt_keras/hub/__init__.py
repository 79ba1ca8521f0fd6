from bt_keras.hub.facts import read_backbone
from bt_keras.hub.loading import HubBackbone, load_backbone
from bt_keras.hub.writing import export_backbone

__all__ = ["HubBackbone", "export_backbone", "load_backbone", "read_backbone"]
