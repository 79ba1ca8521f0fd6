"""A whole training step of the official model on views in memory.

`layout` is "channels_last" or "contiguous_format", the published one.
"""

import torch

from benchmarks import side
from benchmarks.peers.official import LARS, BarlowTwins


def prepare(case):
    torch.manual_seed(0)
    torch.set_flush_denormal(True)  # As in TensorFlow.
    layout = {"memory_format": getattr(torch, case["layout"])}
    model = BarlowTwins(*(case[k] for k in ("depth", "width", "stem", "projector")))
    model = model.to(**layout).train()
    optimizer = LARS(model.parameters(), lr=case["rate"])
    shape = case["batch"], 3, case["size"], case["size"]
    views = [torch.randn(shape).contiguous(**layout) for _ in range(2)]
    bfloat16 = torch.autocast(
        "cpu", torch.bfloat16, enabled=case["precision"] == "bfloat16"
    )

    def step():
        optimizer.zero_grad(set_to_none=True)
        with bfloat16:
            loss = model(*views)
        loss.backward()
        optimizer.step()

    return side.Work(start=lambda: step)


if __name__ == "__main__":
    side.serve(prepare)
