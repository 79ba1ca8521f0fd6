"""ResNets of any width and stem from torchvision's blocks, and the projector."""

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

_DEPTHS = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3))}


def resnet(depth, width, stem):
    """Returns (`nn.Module` from images (N, 3, H, W) to features, feature dimension)."""
    block, counts = _DEPTHS[depth]
    base = round(64 * width)
    channels = base
    layers = _stem(base, stem)
    for stage, count in enumerate(counts):
        for index in range(count):
            stride, inside = 2 if stage and not index else 1, base * 2**stage
            out = inside * block.expansion
            shortcut = None
            if stride > 1 or channels != out:
                shortcut = nn.Sequential(
                    nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                )
            layers.append(block(channels, inside, stride, shortcut))
            channels = out
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.apply(_initialize)
    return network, channels


def projector(features, widths):
    """Returns the projector, whose last layer has no batch norm and no ReLU."""
    layers = []
    for width in widths:
        layers += [nn.Linear(features, width, bias=False)]
        layers += [nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        features = width
    return nn.Sequential(*layers[:-2])


def _stem(base, stem):
    size, stride = (7, 2) if stem == "imagenet" else (3, 1)
    layers = [
        nn.Conv2d(3, base, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(base),
        nn.ReLU(inplace=True),
    ]
    return layers + [nn.MaxPool2d(3, 2, 1)] * (stem == "imagenet")


def _initialize(module):
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, BasicBlock | Bottleneck):
        last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
        nn.init.zeros_(last.weight)
