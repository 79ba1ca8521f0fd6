"""An epoch of training with lightly and torchvision.

lightly's loss, torchvision's views of Pillow images in memory, one DataLoader worker
per core, channels-last, bfloat16 by autocast, AdamW with a cosine schedule. The loss is
computed in float32, as in bt_keras.
"""

import json
import math
import sys

import torch
from lightly.loss import BarlowTwinsLoss

from benchmarks.peers import networks, transforms


def main():
    case = json.loads(sys.argv[1])
    torch.manual_seed(0)
    torch.set_flush_denormal(True)  # As in TensorFlow.
    views = transforms.views(case["size"], case["recipe"])
    dataset = transforms.load(case["images"], views)
    loader = transforms.loader(dataset, case["batch"])
    model = _model(case)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=case["rate"],
        weight_decay=case["weight_decay"],
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / len(loader))) / 2
    )
    train(model, loader, optimizer, schedule, case)
    torch.save(model.state_dict(), case["weights"])


def train(model, loader, optimizer, schedule, case):
    criterion = BarlowTwinsLoss(lambda_param=case["lambd"])
    bfloat16 = torch.autocast(
        "cpu", torch.bfloat16, enabled=case["precision"] == "bfloat16"
    )
    for views, _ in loader:
        with bfloat16:
            z_a, z_b = (
                model(view.contiguous(memory_format=torch.channels_last))
                for view in views
            )
        loss = criterion(z_a.float(), z_b.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


def _model(case):
    backbone, features = networks.resnet(case["depth"], case["width"], case["stem"])
    projector = networks.projector(features, case["projector"])
    model = torch.nn.Sequential(backbone, projector)
    return model.to(memory_format=torch.channels_last).train()


if __name__ == "__main__":
    main()
