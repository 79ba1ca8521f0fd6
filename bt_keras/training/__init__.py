"""Pretraining: from a config and a workdir to a trained model."""
