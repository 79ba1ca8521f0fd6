"""Record files that PyTorch writes: `python tests/reference/record_pth.py`.

Needs torch and torchvision, which the tests do not. `tensors.pth` and
`tensors_stream.pth` hold the kinds of tensors that there are, in today's format and in
the older one; `checkpoint.pth` is what the official code writes of a tiny network that
has trained for three steps, `backbone_stream.pth` its backbone; `checkpoint_step.npz`
is what a fourth step does, in float64.
"""

import copy
import itertools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torchvision
from compare import deviation, nchw
from official import load, loss_terms
from torch import nn
from torchvision.models.resnet import BasicBlock
from weights import barlow_twins_state, image_pair

FOLDER = Path(__file__).parent
WIDTH, PROJECTOR, BATCH, SIZE, LAMBDA = 1, (8, 8, 8), 16, 16, 0.0051
STEPS, RATES = 3, (0.2, 0.0048)


def tensors():
    """Every data type, layout and container; the tests make the same with NumPy."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    names = ("float16", "float32", "float64", "bfloat16", "uint8", "int8", "int16")
    names += ("int32", "int64", "bool")
    return OrderedDict(
        types={name: base.to(getattr(torch, name)) for name in names},
        whole=base,
        transposed=base.T,
        part=base[1:3, 1::2],
        expanded=base[:1, :1].expand(3, 2),
        scalar=torch.tensor(7),
        empty=torch.zeros(0, 3),
        parameter=nn.Parameter(base[0]),
        plain=[1, -(2**40), 0.5, "text", None, True, (1, 2), torch.Size([3, 4])],
        state_dict=nn.BatchNorm1d(2).state_dict(),
    )


def resnet18():
    """torchvision's blocks on few channels, with a stem for small images."""
    model = nn.Module()
    model.conv1 = nn.Conv2d(3, WIDTH, 3, padding=1, bias=False)
    model.bn1 = nn.BatchNorm2d(WIDTH)
    channels = WIDTH
    for stage in range(4):
        outputs, stride, shortcut = WIDTH * 2**stage, 1 + (stage > 0), None
        if stage:
            convolution = nn.Conv2d(channels, outputs, 1, stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        first = BasicBlock(channels, outputs, stride, shortcut)
        layer = nn.Sequential(first, BasicBlock(outputs, outputs))
        setattr(model, f"layer{stage + 1}", layer)
        channels = outputs
    return model


class Network(nn.Module):
    """Backbone, projector and last batch norm by the official names."""

    def __init__(self):
        super().__init__()
        self.backbone = resnet18()
        sizes, layers = (8 * WIDTH, *PROJECTOR), []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out, bias=False)]
            layers += [nn.BatchNorm1d(fan_out), nn.ReLU()]
        self.projector = nn.Sequential(*layers[:-2])
        self.bn = nn.BatchNorm1d(sizes[-1], affine=False)

    def forward(self, *views):
        return loss_terms(*map(self.project, views), self.bn)

    def project(self, images):
        net = self.backbone
        x = torch.relu(net.bn1(net.conv1(images)))
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return self.projector(x.mean((2, 3)))


class Lars(torch.optim.Optimizer):
    """LARS with the state and the groups of the official checkpoint."""

    def __init__(self, model):
        parameters = list(model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim != 1], "lr": RATES[0]},
            {"params": [p for p in parameters if p.ndim == 1], "lr": RATES[1]},
        ]
        defaults = {"weight_decay": 1e-6, "momentum": 0.9, "eta": 1e-3}
        filters = {"weight_decay_filter": True, "lars_adaptation_filter": True}
        super().__init__(groups, {"lr": 0, **defaults, **filters})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                direction = p.grad
                if p.ndim > 1:
                    g = p.grad + group["weight_decay"] * p
                    direction = group["eta"] * p.norm() / g.norm() * g
                mu = self.state[p].setdefault("mu", torch.zeros_like(p))
                mu.mul_(group["momentum"]).add_(direction)
                p.sub_(group["lr"] * mu)


def train(model, optimizer, steps, dtype):
    """The loss of the last of these steps."""
    for step in steps:
        views = image_pair(BATCH, SIZE, SIZE, seed=step)
        invariance, redundancy = model(*(nchw(view, dtype) for view in views))
        loss = invariance + LAMBDA * redundancy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def fourth_step(checkpoint, dtype):
    """Goes on from a checkpoint: the loss, and by how much every array changed."""
    model = Network()
    state = {n.removeprefix("module."): v for n, v in checkpoint["model"].items()}
    model.load_state_dict(state)
    model.to(dtype)
    optimizer = Lars(model)
    # It would take the momenta themselves, and the next run what this one leaves.
    optimizer.load_state_dict(copy.deepcopy(checkpoint["optimizer"]))
    loss = train(model, optimizer, [STEPS], dtype)
    changes = {"loss": np.array(loss)}
    for name, value in model.state_dict().items():
        if "num_batches" not in name:
            change = value.double() - state[name].double()
            changes[f"update/{name}"] = change.numpy()
    return changes


def main():
    """Write all files next to this one."""
    old = {"_use_new_zipfile_serialization": False}
    torch.save(tensors(), FOLDER / "tensors.pth")
    torch.save(tensors(), FOLDER / "tensors_stream.pth", **old)

    initial = barlow_twins_state(18, PROJECTOR, seed=1, width=WIDTH, stem="cifar")
    model = load(Network(), initial, torch.float32).train()
    optimizer = Lars(model)
    train(model, optimizer, range(STEPS), torch.float32)
    parallel = nn.Module()  # As DistributedDataParallel names what it wraps.
    parallel.module = model
    checkpoint = {"epoch": 3, "model": parallel.state_dict()}
    checkpoint["optimizer"] = optimizer.state_dict()
    torch.save(checkpoint, FOLDER / "checkpoint.pth")
    torch.save(model.backbone.state_dict(), FOLDER / "backbone_stream.pth", **old)

    checkpoint = torch.load(FOLDER / "checkpoint.pth", weights_only=True)
    single, double = (fourth_step(checkpoint, t) for t in (torch.float32, torch.double))
    far = {name: deviation(single[name], double[name]) for name in double}
    worst = sorted(far, key=far.get)[-3:]
    print(f"float32 from float64: {[(name, f'{far[name]:.1e}') for name in worst]}")
    packages = (torch, torchvision, np)
    versions = ", ".join(f"{p.__name__} {p.__version__}" for p in packages)
    updates = {n: v.astype(np.float32) for n, v in double.items() if n != "loss"}
    np.savez_compressed(
        FOLDER / "checkpoint_step.npz",
        versions=np.array(versions),
        loss=double["loss"],
        **updates,
    )
    for path in sorted({*FOLDER.glob("*.pth"), FOLDER / "checkpoint_step.npz"}):
        print(f"  {path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
