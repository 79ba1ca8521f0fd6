"""Export of backbones: SavedModels for TensorFlow Hub, and other formats.

Nothing is imported here: the command reads the tables of formats and publishers before
TensorFlow starts.
"""
