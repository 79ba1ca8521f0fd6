"""A square matrix product in PyTorch."""

import torch

from benchmarks import matmul, side


def product(size, precision):
    dtype = getattr(torch, precision)
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return lambda: a @ b


if __name__ == "__main__":
    side.serve(lambda case: matmul.work(case, product))
