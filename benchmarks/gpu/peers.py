"""PyTorch's side: eager, channels-last, bfloat16 by autocast, views on the device."""

import torch

from benchmarks.gpu import cases
from benchmarks.gpu.side import Side, repeat
from benchmarks.peers.official import LARS, BarlowTwins

_CUDA = torch.cuda.is_available()
_DEVICE = "cuda" if _CUDA else "cpu"


def _synchronize():
    if _CUDA:
        torch.cuda.synchronize()


def _peak():
    if not _CUDA:
        return None
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return peak


side = Side(_synchronize, _peak)


def step(case, compiled=False):
    case = cases.network(case, side.quick)
    widths = (case["width"],) * 3
    model = BarlowTwins(case["depth"], case["scale"], case["stem"], widths)
    model = model.to(_DEVICE, memory_format=torch.channels_last).train()
    optimizer = LARS(model.parameters(), lr=1e-4)
    shape = case["batch"], 3, case["size"], case["size"]
    views = [
        torch.randn(shape, device=_DEVICE).to(memory_format=torch.channels_last)
        for _ in range(2)
    ]
    forward = torch.compile(model) if compiled else model

    def one_step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(_DEVICE, torch.bfloat16):
            loss = forward(*views)
        loss.backward()
        optimizer.step()

    run = repeat(one_step)
    first = side.first(run)
    run(3)
    name = f"{cases.name(case)}, step" + ", torch.compile" * compiled
    side.row(name, side.time(run), case["batch"], f"first step {first:.0f} s")


def losses():
    for name, (rows, width) in cases.losses(cases.OFFICIAL_LOSSES, side.quick):
        side.attempt(name, loss, name, rows, width)


def loss(name, rows, width):
    norm = torch.nn.BatchNorm1d(width, affine=False).to(_DEVICE)
    z = [torch.randn(rows, width, device=_DEVICE) for _ in range(2)]
    z = [each.requires_grad_() for each in z]

    def one_step():
        z[0].grad = z[1].grad = None
        c = norm(z[0]).T @ norm(z[1])
        c.div_(rows)
        on = torch.diagonal(c).add_(-1).pow_(2).sum()
        off = _off_diagonal(c).pow_(2).sum()
        (on + 0.0051 * off).backward()

    run = repeat(one_step)
    run(3)
    side.row(name, side.time(run, steps=10 if width < 2**16 else 2))


def _off_diagonal(matrix):
    """Returns the elements off the diagonal, as the official code does."""
    size = len(matrix)
    return matrix.flatten()[:-1].view(size - 1, size + 1)[:, 1:].flatten()


if __name__ == "__main__":
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")  # TF32, TensorFlow's default.
    side.serve(
        {
            "resnet50": (lambda: step(cases.RESNET50), 30),
            "losses": (losses, 10),
            "resnet18": (lambda: step(cases.RESNET18), 15),
            "compiled": (lambda: step(cases.RESNET50, compiled=True), 90),
        }
    )
