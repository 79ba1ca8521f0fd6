"""The paper's Table 5: parts of the loss left out, and another loss."""

from bt_keras.studies.study import Study, Variant

_NAME = "bt_keras.studies.methods.loss_variants.LossVariant"


def _variant(name, paper, fields=None, **options):
    method = {"method.name": _NAME} if options else {}
    method |= {f"method.options.{option}": each for option, each in options.items()}
    return Variant(name, {**method, **(fields or {})}, paper)


def _low_bias_rate(config):
    """Returns a hundredth of the rate of biases and batch norm.

    LARS does not normalize their gradients. Without normalization of C these are so
    large that the loss became infinite in the second epoch of the small scale.
    """
    return config.optimizer.bias_learning_rate / 100


LOSS = Study(
    name="loss",
    title="Terms and normalization of the loss",
    source="Table 5; it gives neither temperature nor lambda of the "
    "cross-entropy, here 0.1 and 1",
    baseline="baseline",
    variants=(
        Variant("baseline", paper=71.4),
        _variant("invariance_only", 57.3, {"lambd": 0.0}),
        _variant("redundancy_only", 0.1, invariance=0.0),
        _variant("along_features", 69.8, normalization="features"),
        _variant("no_batch_norm", 71.2, batch_norm=False),
        _variant(
            "covariance",
            53.4,
            {"optimizer.bias_learning_rate": _low_bias_rate},
            batch_norm=False,
            normalization="centered",
        ),
        # Both terms are logarithms of sums: with lambda 1 they have one scale.
        _variant(
            "cross_entropy",
            63.3,
            {"lambd": 1.0},
            objective="cross_entropy",
            temperature=0.1,
        ),
    ),
)
