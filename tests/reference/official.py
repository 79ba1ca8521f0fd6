"""The published Barlow Twins training algorithm in PyTorch and plain NumPy.

Written from the paper (arXiv 2103.03230) and the behavior of its released code. It
prefers the most literal form to speed: the loss computes the D x D matrix.
"""

import itertools
import math

import numpy as np
import torch
import torchvision
from torch import nn


def invariance_and_redundancy(c):
    """Returns the sum of (1 - C_ii)^2 and the sum over i != j of C_ij^2."""
    diagonal = torch.diagonal(c)
    off_diagonal = c[~torch.eye(len(c), dtype=torch.bool)]
    return (1 - diagonal).square().sum(), off_diagonal.square().sum()


def loss_terms(z_a, z_b, norm=None):
    """Returns both terms of the loss, with an affine-free batch norm (eps 1e-5)."""
    if norm is None:
        norm = nn.BatchNorm1d(z_a.shape[1], affine=False).to(z_a.dtype)
    return invariance_and_redundancy(norm(z_a).T @ norm(z_b) / len(z_a))


def resnet(depth, stem="imagenet"):
    """Returns torchvision's ResNet from images to pooled features."""
    model = torchvision.models.get_model(f"resnet{depth}", weights=None)
    model.fc = nn.Identity()
    if stem == "cifar":
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    return model


class BarlowTwins(nn.Module):
    """Backbone, bias-free projector and the final affine-free batch norm."""

    def __init__(self, depth, projector):
        super().__init__()
        self.backbone = resnet(depth)
        sizes = [512 * (4 if depth >= 50 else 1), *projector]
        layers = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out, bias=False)]
            layers += [nn.BatchNorm1d(fan_out), nn.ReLU()]
        self.projector = nn.Sequential(*layers[:-2])
        self.bn = nn.BatchNorm1d(sizes[-1], affine=False)

    def forward(self, view_a, view_b):
        """Returns both loss terms; view a passes through the network before view b."""
        z_a = self.projector(self.backbone(view_a))
        z_b = self.projector(self.backbone(view_b))
        return loss_terms(z_a, z_b, self.bn)


def load(model, state, dtype):
    """Loads a dict of NumPy arrays into a model and converts it to `dtype`."""
    state = {name: torch.from_numpy(value) for name, value in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    counters = [name for name in missing if name.endswith(".num_batches_tracked")]
    if unexpected or counters != missing:
        raise ValueError(f"state does not fit: {missing=}, {unexpected=}")
    return model.to(dtype)


class Lars(torch.optim.Optimizer):
    """LARS for two groups; tensors of rank 1 use neither decay nor adaptation."""

    def __init__(self, weights, biases, weight_decay, momentum=0.9, trust=1e-3):
        groups = [{"params": list(weights)}, {"params": list(biases)}]
        defaults = {
            "lr": 0.0,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "trust": trust,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, rates):
        """Updates with one rate per group: weights, then biases and norms."""
        for group, rate in zip(self.param_groups, rates, strict=True):
            for p in group["params"]:
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                direction = self._direction(p, group)
                velocity.mul_(group["momentum"]).add_(direction)
                p.sub_(rate * velocity)

    @staticmethod
    def _direction(p, group):
        if p.ndim == 1:
            return p.grad
        g = p.grad + group["weight_decay"] * p
        p_norm, g_norm = torch.linalg.vector_norm(p), torch.linalg.vector_norm(g)
        if p_norm == 0 or g_norm == 0:
            return g
        return group["trust"] * p_norm / g_norm * g


def lars_trajectory(p, gradients, rates, weight_decay, momentum=0.9, trust=1e-3):
    """Computes the values of one variable under LARS with NumPy.

    Args:
        p: Array, the initial value. Its dtype is the dtype of the computation.
        gradients: Array (steps, *p.shape).
        rates: Float array (steps,), the learning rate of every step.
        weight_decay: Float >= 0.
        momentum: Float in [0, 1). Defaults to `0.9`.
        trust: Float > 0, the trust coefficient eta. Defaults to `1e-3`.

    Returns:
        Array (steps, *p.shape), the value after every step.
    """
    velocity, trajectory = np.zeros_like(p), []
    for g, rate in zip(gradients, rates, strict=True):
        scale = 1.0
        if p.ndim > 1:
            g = g + p.dtype.type(weight_decay) * p
            p_norm, g_norm = np.sqrt(np.sum(p * p)), np.sqrt(np.sum(g * g))
            if p_norm > 0 and g_norm > 0:
                scale = trust * p_norm / g_norm
        velocity = p.dtype.type(momentum) * velocity + p.dtype.type(scale) * g
        p = p - p.dtype.type(rate) * velocity
        trajectory.append(p)
    return np.stack(trajectory)


def learning_rate(step, warmup_steps, total_steps, peak, floor=1e-3):
    """Returns the rate of a linear warm-up from 0 and a cosine to `floor * peak`.

    The cosine ends at `total_steps`, one step after the last one of the run, so the
    last rate is slightly above the floor.
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    weight = (1 + math.cos(math.pi * progress)) / 2
    return peak * (weight + floor * (1 - weight))
