"""Contents of a page without a run: every part is there."""

import numpy as np

from bt_keras.evaluation.results import Result
from bt_keras.report.contents import (
    Confusion,
    Contents,
    Correlation,
    FeatureMap,
    LogPoint,
    Module,
    NeighborRow,
    Picture,
    Spectrum,
)
from bt_keras.report.pictures import data_uri

CLASSES = tuple(["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal"])


def picture(rng, label="", side=28):
    return Picture(data_uri(rng.integers(0, 256, (side, side, 3), "uint8"), 48), label)


def accuracy(backbone, value, protocol="knn", n=2000, epoch="3", **kwargs):
    return Result(
        protocol, "top1", value, n, {"k": 200}, backbone=backbone, epoch=epoch, **kwargs
    )


def rank(backbone, value, of="features"):
    settings = {"of": of}
    return Result(
        "labelfree", "rankme", value, 500, settings, backbone=backbone, epoch="3"
    )


def curves(losses, metric="loss", images="training"):
    return tuple(
        LogPoint(metric, epoch, loss, images)
        for epoch, loss in enumerate(losses, start=1)
    )


def contents(name="demo", seed=0, **changes):
    """Makes contents; `changes` replace parts."""
    rng = np.random.default_rng(seed)
    parts = {
        "recipe": {"seed": (seed, 0), "batch_size": (128, 2048), "epochs": (3, 3)},
        "epochs": 3,
        "total_epochs": 3,
        "floor": 7.5,
        "final_loss": 70.0,
        "curves": curves([100.0, 80.0, 70.0])
        + curves([110.0, 90.0, 85.0], images="held out")
        + curves([50.0, 30.0, 20.0], "invariance"),
        "results": (accuracy("untrained", 0.5), accuracy("pretrained", 0.7)),
        "correlations": tuple(
            Correlation(network, rng.uniform(-1, 1, (16, 16)), 512, 128, 0.5, 0.1)
            for network in ("untrained", "epoch 3")
        ),
        "spectra": tuple(
            Spectrum(network, np.exp(-rate * np.arange(32)), rank, 32, 2000)
            for network, rate, rank in (
                ("untrained", 0.5, 5.5),
                ("epoch 3", 0.1, 22.8),
            )
        ),
        "views": tuple((picture(rng), picture(rng)) for _ in range(8)),
        "neighbors": tuple(
            NeighborRow(
                picture(rng, label),
                tuple(picture(rng, CLASSES[i]) for i in range(6)),
                (0.9,) * 6,
            )
            for label in CLASSES
        ),
        "feature_map": FeatureMap(
            "t-SNE",
            rng.normal(size=(60, 2)),
            tuple(picture(rng, CLASSES[i % 6]) for i in range(60)),
        ),
        "confusion": Confusion(CLASSES, rng.integers(0, 40, (6, 6)), 6),
        "throughput": {2: 510.0, 3: 520.0},
        "module": Module("/runs/demo/module", 11, 11),
    }
    return Contents(name=name, path=f"runs/{name}", **{**parts, **changes})
