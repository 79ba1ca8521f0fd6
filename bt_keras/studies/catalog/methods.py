"""Other methods on the same network and views (the paper's Table 1)."""

from pathlib import Path

from bt_keras.errors import UsageError
from bt_keras.studies.study import Study, Variant

_MODULE = "bt_keras.studies.methods"
_BARLOW_TWINS = "barlow_twins"
# Multiples of the scale's learning rates that every method is tried with.
_FACTORS = (0.3, 1.0, 3.0)
# The factor with the best linear top-1 accuracy in `bt-keras study method_rates
# --scale=small --seeds=1`; other scales take it over.
_CHOSEN = {
    **{"barlow_twins": 1.0, "supervised": 1.0, "simclr": 1.0, "simsiam": 1.0},
    **{"byol": 1.0, "swav": 0.3, "vicreg": 1.0, "mixed": 1.0},
}
# By the split of a scale's training: splits of the same images to train and to test on
# when rates are chosen, without the final runs' test images.
_HELD_OUT = {
    "train[:5000]": ("train[:5000]", "train[5000:7000]"),
    "train": ("train[:90%]", "train[90%:]"),
}
# The number of classes of well-known data sets, for plans without the images. For
# others it is 0, and the run counts the classes.
_CLASSES = {"shipped": 10, "tfds:cifar10": 10, "tfds:imagenet2012": 1000}


def _width(divisor=1):
    return lambda config: max(1, config.projector[-1] // divisor)


def _classes(config):
    return _CLASSES.get(config.data.source, 0)


# Class, options, and top-1 accuracy on ImageNet in Table 1 (VICReg: in its paper).
_METHODS = {
    _BARLOW_TWINS: ("bt_keras.BarlowTwins", {}, 73.2),
    "supervised": ("supervised.Supervised", {"num_classes": _classes}, 76.5),
    "simclr": ("simclr.SimCLR", {"temperature": 0.5}, 69.3),
    "simsiam": ("simsiam.SimSiam", {"predictor_width": _width(4)}, 71.3),
    "byol": ("byol.BYOL", {"predictor_width": _width(), "momentum": 0.97}, 74.3),
    "swav": ("swav.SwAV", {"num_prototypes": lambda c: c.batch_size // 2}, 71.8),
    "vicreg": ("vicreg.VICReg", {}, 73.2),
    "mixed": ("mixed.MixedBarlowTwins", {"mixing_weight": 4.0}, None),
}
# Their losses are sums over the dimensions of the embeddings. Those of others are far
# smaller: their biases and batch norm have the whole rate.
_SUMS = (_BARLOW_TWINS, "mixed")


def _rate(field, factor):
    return lambda config: float(f"{config.optimizer[field] * factor:.4g}")


def _fields(method, factor):
    name, options, _ = _METHODS[method]
    bias = "bias_learning_rate" if method in _SUMS else "learning_rate"
    fields = {
        "optimizer.learning_rate": _rate("learning_rate", factor),
        "optimizer.bias_learning_rate": _rate(bias, factor),
    }
    if method != _BARLOW_TWINS:
        fields["method.name"] = f"{_MODULE}.{name}"
    return fields | {f"method.options.{option}": v for option, v in options.items()}


def chosen_fields(method: str) -> dict:
    """Returns the fields of a method with the learning rates that were chosen.

    Args:
        method: String, the name of a variant of `METHODS`.

    Returns:
        Dict from names of fields to values or functions of the config, see `Variant`.
    """
    return _fields(method, _CHOSEN[method])


def _is_shuffled(source):
    """Returns whether slices of a split have all classes, unlike those of a folder."""
    if source == "shipped" or source.startswith("tfds:"):
        return True
    versions = [source, *Path(source).expanduser().glob("*.*.*")]
    return any((Path(v).expanduser() / "dataset_info.json").is_file() for v in versions)


def _split(index):
    def split(config):
        source, whole = config.data.source, config.data.train_split
        if whole not in _HELD_OUT or not _is_shuffled(source):
            raise UsageError(
                "method_rates chooses rates on a slice of the split 'train' of shipped "
                f"images or of a TFDS data set; it cannot divide {whole!r} of "
                f"{source!r}: take another config, or the study methods."
            )
        return _HELD_OUT[whole][index]

    return split


def _rates():
    splits = {"data.train_split": _split(0), "data.test_split": _split(1)}
    for method in _METHODS:
        for factor in _FACTORS:
            yield Variant(
                f"{method}_{factor:g}",
                {**_fields(method, factor), **splits},
                against=f"{method}_1",
            )


METHODS = Study(
    name="methods",
    title="Other methods, on the same network and views",
    source="Table 1, a ResNet-50 with the recipe of each method (800 or 1000 epochs, "
    "fewer with labels), SwAV without multi-crop; VICReg's is from its own paper",
    baseline=_BARLOW_TWINS,
    variants=tuple(
        Variant(method, chosen_fields(method), paper)
        for method, (_, _, paper) in _METHODS.items()
    ),
)
METHOD_RATES = Study(
    name="method_rates",
    title="Learning rates of the methods, on held-out training images",
    source="none",
    baseline=f"{_BARLOW_TWINS}_1",
    variants=tuple(_rates()),
)
