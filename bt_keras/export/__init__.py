"""Exporting: SavedModels for TensorFlow Hub, single-file formats, Kaggle Models."""

from bt_keras.export.export_backbone import export_backbone

__all__ = ["export_backbone"]
