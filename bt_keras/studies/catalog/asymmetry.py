"""The paper's Table 6: a stop-gradient, a predictor, or both."""

from bt_keras.studies.study import Study, Variant

_NAME = "bt_keras.studies.methods.asymmetric.Asymmetric"


def _width(config):
    """As wide as the embeddings, as in the paper."""
    return config.projector[-1]


def _variant(name, paper, **options):
    options = {f"method.options.{option}": each for option, each in options.items()}
    return Variant(name, {"method.name": _NAME, **options}, paper)


ASYMMETRY = Study(
    name="asymmetry",
    title="Stop-gradient and predictor",
    source="Table 6",
    baseline="baseline",
    variants=(
        Variant("baseline", paper=71.4),
        _variant("stop_gradient", 70.5, stop_gradient=True),
        _variant("predictor", 70.2, predictor_width=_width),
        _variant("both", 61.3, stop_gradient=True, predictor_width=_width),
    ),
)
