from bt_keras.hub.checking import reload_difference
from bt_keras.hub.loading import HubBackbone, load_backbone
from bt_keras.hub.writing import export_backbone

__all__ = ["HubBackbone", "export_backbone", "load_backbone", "reload_difference"]
