"""Batch sizes of Barlow Twins and SimCLR (the paper's Figure 2)."""

from bt_keras.errors import UsageError
from bt_keras.studies.catalog.methods import chosen_fields
from bt_keras.studies.study import Study, Variant

_BATCHES = (32, 64, 128, 256, 512, 1024)
_MIDDLE = 256
_RATE_FIELDS = ("optimizer.learning_rate", "optimizer.bias_learning_rate")
# Learning rates of Barlow Twins on ImageNet for a batch size of 256. The author gives
# them in issue 7 of facebookresearch/barlowtwins, that of 64 as a guess; that of 32
# continues the row.
_RATES = {
    **{32: 1.4, 64: 1.0, 128: 0.7, 256: 0.4, 512: 0.3, 1024: 0.25},
    **{2048: 0.2, 4096: 0.2},
}
_BARLOW_TWINS_PAPER = {128: 69.7, 256: 70.7, 512: 71.4, 1024: 71.7}
_SIMCLR_PAPER = {64: 59.2, 128: 63.6, 256: 64.3, 512: 66.5, 1024: 67.4}


def _scaled(rate, batch):
    """Scales a method's rate as the author's rates for the two batch sizes."""

    def scaled(config):
        own = config.batch_size
        if own not in _RATES:
            raise UsageError(
                f"batch_size scales the learning rate of the config's batch size, "
                f"{own}, which is known for {', '.join(map(str, _RATES))}: set "
                "--config.batch_size to one of them, with its rate."
            )
        ratio = _RATES[batch] / _RATES[own]
        return float(f"{rate(config) * ratio:.4g}")

    return scaled


def _variants(method, paper):
    fields = chosen_fields(method)
    for batch in _BATCHES:
        rates = {field: _scaled(fields[field], batch) for field in _RATE_FIELDS}
        yield Variant(
            f"{method}_{batch}",
            {**fields, **rates, "batch_size": batch},
            paper.get(batch),
            against=f"{method}_{_MIDDLE}",
        )


BATCH_SIZE = Study(
    name="batch_size",
    title="Batch size, against SimCLR",
    source="Barlow Twins: the author's table in issue 7 of the official code; SimCLR: "
    "Table 16 of BYOL (1000 epochs). Each method is compared with its own batch of "
    f"{_MIDDLE}; learning rates change with it as the author's of Barlow Twins do",
    baseline=f"barlow_twins_{_MIDDLE}",
    variants=(
        *_variants("barlow_twins", _BARLOW_TWINS_PAPER),
        *_variants("simclr", _SIMCLR_PAPER),
    ),
)
