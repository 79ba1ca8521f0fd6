"""Records files that PyTorch writes: `python tests/reference/record_pth.py`.

Requires torch and torchvision, which the tests do not.

- `tensors.pth`, `tensors_stream.pth`: all kinds of tensors, in the current file format
  and in the older one.
- `checkpoint.pth`: the official code's checkpoint of a tiny network after three steps;
  `backbone_stream.pth`: its backbone; `checkpoint_step.npz`: the changes by a fourth
  step, in float64.
- `checkpoint_one_group.pth`, `checkpoint_one_group_step.npz`: the same for the first
  release of the official code, on 16 replicas; `groups_by_name.pth`: the two groups of
  the current code with the functions of the first release.
- `torchvision.npz`: the names in torchvision's ResNets, and features of a narrow one.
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
from torchvision.models.resnet import BasicBlock, Bottleneck
from weights import BLOCKS, barlow_twins_state, image_pair, images, resnet_state

FOLDER = Path(__file__).parent
WIDTH, PROJECTOR, BATCH, SIZE, LAMBDA = 1, (8, 8, 8), 16, 16, 0.0051
STEPS, RATES = 3, (0.2, 0.0048)
# The first release multiplied its loss by 0.024; the mean of the replicas' gradients
# divides by the number of replicas.
ONE_GROUP_SCALE = 0.024 / 16
# A sixteenth of the width, with bottleneck blocks.
NARROW = {"depth": 50, "seed": 1, "width": 4}


def exclude_bias_and_norm(p):
    """The filter of the first release, whose checkpoints contain it by name."""
    return p.ndim == 1


def tensors():
    """Returns all data types, layouts and containers; tests compare with NumPy."""
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


def narrow_resnet(depth, width):
    """Returns a ResNet of torchvision's blocks with few channels and a small stem."""
    block = Bottleneck if depth >= 50 else BasicBlock
    model = nn.Module()
    model.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
    model.bn1 = nn.BatchNorm2d(width)
    channels = width
    for stage, count in enumerate(BLOCKS[depth]):
        planes, stride, shortcut = width * 2**stage, 1 + (stage > 0), None
        outputs = planes * block.expansion
        if outputs != channels:
            convolution = nn.Conv2d(channels, outputs, 1, stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        blocks = [block(channels, planes, stride, shortcut)]
        blocks += [block(outputs, planes) for _ in range(count - 1)]
        setattr(model, f"layer{stage + 1}", nn.Sequential(*blocks))
        channels = outputs
    return model


def features(net, images):
    """Returns the pooled features of a `narrow_resnet`."""
    x = torch.relu(net.bn1(net.conv1(images)))
    return net.layer4(net.layer3(net.layer2(net.layer1(x)))).mean((2, 3))


class Network(nn.Module):
    """Backbone, projector and final batch norm with the official names."""

    def __init__(self):
        super().__init__()
        self.backbone = narrow_resnet(18, WIDTH)
        sizes, layers = (8 * WIDTH, *PROJECTOR), []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out, bias=False)]
            layers += [nn.BatchNorm1d(fan_out), nn.ReLU()]
        self.projector = nn.Sequential(*layers[:-2])
        self.bn = nn.BatchNorm1d(sizes[-1], affine=False)

    def forward(self, *views):
        return loss_terms(*map(self.project, views), self.bn)

    def project(self, images):
        return self.projector(features(self.backbone, images))


class Lars(torch.optim.Optimizer):
    """LARS with the state and the parameter groups of the official checkpoint."""

    def __init__(self, model, one_group=False, excluded=True):
        parameters = list(model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim != 1], "lr": RATES[0]},
            {"params": [p for p in parameters if p.ndim == 1], "lr": RATES[1]},
        ]
        if one_group:
            groups = [{"params": parameters, "lr": RATES[0]}]
        defaults = {"weight_decay": 1e-6, "momentum": 0.9, "eta": 1e-3}
        names = "weight_decay_filter", "lars_adaptation_filter"
        filters = dict.fromkeys(names, excluded)
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


def train(model, optimizer, steps, dtype, scale=1.0):
    """Trains with `scale` times the gradients; returns the loss of the last step."""
    for step in steps:
        views = image_pair(BATCH, SIZE, SIZE, seed=step)
        invariance, redundancy = model(*(nchw(view, dtype) for view in views))
        loss = invariance + LAMBDA * redundancy
        optimizer.zero_grad()
        (scale * loss).backward()
        optimizer.step()
    return loss.item()


def write_checkpoint(path, make_optimizer, scale):
    """Trains for three steps; returns the model and the checkpoint."""
    initial = barlow_twins_state(18, PROJECTOR, seed=1, width=WIDTH, stem="cifar")
    model = load(Network(), initial, torch.float32).train()
    optimizer = make_optimizer(model)
    train(model, optimizer, range(STEPS), torch.float32, scale)
    parallel = nn.Module()  # The attribute that DistributedDataParallel uses.
    parallel.module = model
    checkpoint = {"epoch": 3, "model": parallel.state_dict()}
    checkpoint["optimizer"] = optimizer.state_dict()
    torch.save(checkpoint, path)
    return model, torch.load(path, weights_only=False)


def fourth_step(checkpoint, make_optimizer, scale, dtype):
    """Resumes from a checkpoint; returns the loss and the change of every array."""
    model = Network()
    state = {n.removeprefix("module."): v for n, v in checkpoint["model"].items()}
    model.load_state_dict(state)
    model.to(dtype)
    optimizer = make_optimizer(model)
    # Without a copy the next run would start from the momenta that this run changed.
    optimizer.load_state_dict(copy.deepcopy(checkpoint["optimizer"]))
    loss = train(model, optimizer, [STEPS], dtype, scale)
    changes = {"loss": np.array(loss)}
    for name, value in model.state_dict().items():
        if "num_batches" not in name:
            change = value.double() - state[name].double()
            changes[f"update/{name}"] = change.numpy()
    return changes


def write_step(path, *arguments):
    """Writes the fourth step in float64; prints the deviation of a float32 run."""
    single, double = (fourth_step(*arguments, t) for t in (torch.float32, torch.double))
    far = {name: deviation(single[name], double[name]) for name in double}
    worst = sorted(far, key=far.get)[-3:]
    print(f"float32 from float64: {[(name, f'{far[name]:.1e}') for name in worst]}")
    updates = {n: v.astype(np.float32) for n, v in double.items() if n != "loss"}
    write_arrays(path, loss=double["loss"], **updates)


def write_arrays(path, **arrays):
    """Writes an .npz file that also contains the versions of the packages."""
    packages = (torch, torchvision, np)
    versions = ", ".join(f"{p.__name__} {p.__version__}" for p in packages)
    np.savez_compressed(path, versions=np.array(versions), **arrays)


@torch.no_grad()
def write_torchvision(path):
    """Writes names of all state dicts, and features of a narrow network in float64."""
    arrays = {}
    for depth in BLOCKS:
        state = torchvision.models.get_model(f"resnet{depth}").state_dict()
        arrays[f"names/resnet{depth}"] = np.array("\n".join(state).encode())
    net = narrow_resnet(NARROW["depth"], NARROW["width"])
    net = load(net, resnet_state(**NARROW, stem="cifar"), torch.double).eval()
    views = nchw(images(2, 32, 32, seed=64), torch.double)
    arrays["features/resnet50_narrow"] = features(net, views).numpy()
    write_arrays(path, **arrays)


def main():
    """Writes all files next to this one."""
    old = {"_use_new_zipfile_serialization": False}
    torch.save(tensors(), FOLDER / "tensors.pth")
    torch.save(tensors(), FOLDER / "tensors_stream.pth", **old)

    path = FOLDER / "checkpoint.pth"
    model, checkpoint = write_checkpoint(path, Lars, 1.0)
    torch.save(model.backbone.state_dict(), FOLDER / "backbone_stream.pth", **old)
    write_step(FOLDER / "checkpoint_step.npz", checkpoint, Lars, 1.0)

    groups = Lars(model, excluded=exclude_bias_and_norm).state_dict()["param_groups"]
    torch.save(groups, FOLDER / "groups_by_name.pth")

    def first_code(model):
        return Lars(model, one_group=True, excluded=exclude_bias_and_norm)

    path = FOLDER / "checkpoint_one_group.pth"
    _, checkpoint = write_checkpoint(path, first_code, ONE_GROUP_SCALE)
    path = path.with_name("checkpoint_one_group_step.npz")
    write_step(path, checkpoint, first_code, ONE_GROUP_SCALE)

    write_torchvision(FOLDER / "torchvision.npz")
    arrays = [FOLDER / "torchvision.npz", *FOLDER.glob("checkpoint*.npz")]
    for path in sorted([*FOLDER.glob("*.pth"), *arrays]):
        print(f"  {path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
