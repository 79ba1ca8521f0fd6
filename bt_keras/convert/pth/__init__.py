"""Reads and writes PyTorch's `.pth` files without PyTorch and without running code."""
