"""Checkpoints: `.keras` files that also store the progress of the run.

`store` finds and verifies them without TensorFlow, `save_restore` writes and loads
them, `callbacks` decides when to write one, `latest` loads the newest one of a run.
"""
