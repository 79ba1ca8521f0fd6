"""Helpers shared by the recording scripts."""

import numpy as np
import torch


def deviation(value, reference):
    """Returns the largest difference, relative to the reference's largest entry."""
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    return np.abs(value - reference).max() / np.abs(reference).max()


def fingerprint(arrays):
    """Returns the sum of absolute values; tests detect changed inputs by it."""
    return np.array([np.abs(a.astype(np.float64)).sum() for a in arrays]).sum()


def nchw(batch, dtype):
    """Converts NumPy NHWC images to a torch tensor in PyTorch's layout."""
    return torch.from_numpy(batch).permute(0, 3, 1, 2).to(dtype).contiguous()
