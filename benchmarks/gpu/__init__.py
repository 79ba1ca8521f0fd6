"""Benchmarks on a GPU against PyTorch: `python -m benchmarks.gpu`."""
