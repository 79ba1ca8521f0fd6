"""Small helpers that the recordings share."""

import numpy as np
import torch


def deviation(value, reference):
    """Largest difference, relative to the largest entry of the reference."""
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    return np.abs(value - reference).max() / np.abs(reference).max()


def fingerprint(arrays):
    """Sums of absolute values: a mismatch means the inputs differ, not the code."""
    return np.array([np.abs(a.astype(np.float64)).sum() for a in arrays]).sum()


def nchw(batch, dtype):
    """NumPy NHWC images as a torch tensor of PyTorch's layout."""
    return torch.from_numpy(batch).permute(0, 3, 1, 2).to(dtype).contiguous()
