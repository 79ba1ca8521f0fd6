"""Checkpoints: whole `.keras` files that say how far the run had come.

`progress` is what they say, `files` finds and checks them without TensorFlow, `saving`
writes and reads them, `callback` decides when.
"""
