"""A reimplementation of the official training step: model, loss and LARS."""

import torch
from torch import nn

from benchmarks.peers import networks

_LAMBDA = 0.0051


class BarlowTwins(nn.Module):
    """Computes the loss of the D x D cross-correlation matrix of two views."""

    def __init__(self, depth, width, stem, projector):
        super().__init__()
        self.backbone, features = networks.resnet(depth, width, stem)
        self.projector = networks.projector(features, projector)
        self.norm = nn.BatchNorm1d(projector[-1], affine=False)

    def forward(self, view_a, view_b):
        z_a = self.norm(self.projector(self.backbone(view_a)))
        z_b = self.norm(self.projector(self.backbone(view_b)))
        c = z_a.T @ z_b / len(z_a)
        diagonal = torch.diagonal(c)
        invariance = (diagonal - 1).square().sum()
        redundancy = c.square().sum() - diagonal.square().sum()
        return invariance + _LAMBDA * redundancy


class LARS(torch.optim.Optimizer):
    """Momentum with layer-wise rates; vectors have no weight decay and adaptation."""

    def __init__(self, params, lr, weight_decay=1e-6, momentum=0.9, trust=1e-3):
        defaults = {"lr": lr, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "momentum": momentum, "trust": trust})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if not self.state[p]:
                    self.state[p]["velocity"] = torch.zeros_like(p)
                velocity = self.state[p]["velocity"]
                velocity.mul_(group["momentum"]).add_(self._direction(p, group))
                p.add_(velocity, alpha=-group["lr"])

    @staticmethod
    def _direction(p, group):
        if p.ndim == 1:
            return p.grad
        direction = p.grad.add(p, alpha=group["weight_decay"])
        p_norm, norm = torch.linalg.vector_norm(p), torch.linalg.vector_norm(direction)
        ratio = group["trust"] * p_norm / norm
        usable = (p_norm > 0) & (norm > 0)
        return direction.mul_(torch.where(usable, ratio, torch.ones_like(ratio)))
