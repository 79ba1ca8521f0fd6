"""lightly's BarlowTwinsLoss and its gradients."""

import torch
from lightly.loss import BarlowTwinsLoss

from benchmarks import processes, side


def embeddings(n, d):
    return [torch.randn(n, d, requires_grad=True) for _ in range(2)]


def gradients(criterion, z_a, z_b):
    loss = criterion(z_a, z_b)
    return loss.detach(), torch.autograd.grad(loss, (z_a, z_b))


def prepare(case):
    torch.manual_seed(0)
    criterion = BarlowTwinsLoss()
    gradients(criterion, *embeddings(4, 8))
    processes.reset_peak()
    baseline = processes.resident()
    z_a, z_b = embeddings(case["n"], case["d"])
    return side.Work(
        start=lambda: lambda: gradients(criterion, z_a, z_b),
        extra={"baseline": baseline},
    )


if __name__ == "__main__":
    side.serve(prepare)
