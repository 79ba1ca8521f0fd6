"""Evaluation of backbones: kNN, linear probes, fine-tuning, and reports of results."""
