"""What both sides measure, and the sizes of `--quick`."""

RESNET50 = {"depth": 50, "stem": "imagenet", "size": 224, "batch": 256, "width": 8192}
RESNET18 = {"depth": 18, "stem": "cifar", "size": 32, "batch": 512, "width": 2048}
# Rows N and columns D of the embeddings.
LOSSES = ((256, 8192), (1024, 8192), (2048, 8192), (256, 65_536), (256, 262_144))
# The D x D matrices of the official form need 64 GB for D = 65,536.
OFFICIAL_LOSSES = LOSSES[:4]
_QUICK = {"depth": 18, "size": 32, "batch": 16, "width": 64}


def network(case: dict, quick: bool) -> dict:
    """Returns the case, or the tiny one of `--quick`."""
    return {**case, **_QUICK, "scale": 0.25} if quick else {**case, "scale": 1.0}


def losses(shapes, quick: bool) -> list:
    """Returns pairs of a shape's name and the shape to measure."""
    return [
        (f"loss, N={n}, D={d:,}", (16, 64 * (i + 1)) if quick else (n, d))
        for i, (n, d) in enumerate(shapes)
    ]


def name(case: dict) -> str:
    """Returns the name of a network's case."""
    return f"ResNet-{case['depth']}, {case['size']} px, batch {case['batch']}"
