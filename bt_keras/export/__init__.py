"""Export of backbones: SavedModels for TensorFlow Hub, Keras and TensorFlow Lite."""

from bt_keras.export.export_backbone import export_backbone

__all__ = ["export_backbone"]
