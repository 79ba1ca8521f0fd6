"""Two sentences that judge a run: how training went, and what the features are worth.

The first rule that holds gives the sentence; `docs/report.md` lists them.
"""

from __future__ import annotations

import math

from bt_keras.evaluation.intervals import wilson
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.tables import settings_text
from bt_keras.report.contents import UNTRAINED, Contents

# Below this effective rank, features are one direction and noise.
COLLAPSED_RANK = 2.0
# Below this share of the features, the effective rank is called low.
LOW_RANK = 0.05
# A loss that falls by less than this share of its first value has not fallen.
SMALLEST_FALL = 0.05


def verdict(contents: Contents) -> tuple[str, str]:
    """Judges a run.

    Args:
        contents: `Contents`.

    Returns:
        Tuple of two sentences.

    Example:

    >>> from bt_keras.report.contents import Contents
    >>> from bt_keras.report.verdicts import verdict
    >>> verdict(Contents("a", "runs/a", {}, epochs=0, total_epochs=4))[0]
    'No epoch is finished yet.'
    """
    return _training(contents), _features(contents)


def _training(contents):
    if not contents.epochs:
        return "No epoch is finished yet."
    loss = contents.final_loss
    if loss is not None and not math.isfinite(loss):
        return (
            f"Training has failed: the loss of epoch {contents.epochs} is not finite."
        )
    rank, width = _rank(contents)
    if rank is not None and rank < COLLAPSED_RANK:
        return (
            f"The features have collapsed: of {width} dimensions, they use {rank:.1f} "
            "(effective rank)."
        )
    losses = [
        point.value
        for point in contents.curves
        if (point.metric, point.images) == ("loss", "training")
    ]
    if len(losses) > 1 and losses[-1] > (1 - SMALLEST_FALL) * losses[0]:
        return (
            f"Training has had little effect: the loss is {losses[-1]:.4g} after epoch "
            f"{contents.epochs} and was {losses[0]:.4g} after the first."
        )
    if contents.epochs < contents.total_epochs:
        state = f"Training is at epoch {contents.epochs} of {contents.total_epochs}"
    else:
        plural = "" if contents.epochs == 1 else "s"
        state = f"Training is complete after {contents.epochs} epoch{plural}"
    details = []
    if len(losses) > 1:
        details.append(f"the loss fell from {losses[0]:.4g} to {losses[-1]:.4g}")
    if rank is not None:
        use = "only use" if rank < LOW_RANK * width else "use"
        details.append(
            f"the features {use} {rank:.0f} of {width} dimensions (effective rank)"
        )
    return f"{state}{': ' if details else ''}{', and '.join(details)}."


def _rank(contents):
    """Returns the effective rank and the number of the trained network's features."""
    trained = [each for each in contents.spectra if each.network != UNTRAINED]
    if not trained:
        return None, None
    return trained[-1].rank, trained[-1].width


def _features(contents):
    pretrained, untrained = compared(contents.results)
    workdir = f" --workdir={contents.path}" if contents.path else ""
    command = f"bt-keras evaluate{workdir}"
    if pretrained is None:
        return (
            f"The accuracy of the features is unknown: `{command}` measures it if the "
            "images have labels."
        )
    measured = (
        f"top-1 accuracy {_percent(pretrained)} on {pretrained.n} test images "
        f"({evaluator(pretrained)})"
    )
    if untrained is None:
        return (
            f"The features reach {measured}; `{command} --untrained` says what an "
            "untrained network reaches."
        )
    low, high = wilson(pretrained.value, pretrained.n)
    untrained_low, untrained_high = wilson(untrained.value, untrained.n)
    if low > untrained_high:
        comparison = "better than"
    elif high < untrained_low:
        comparison = "worse than"
    else:
        comparison = "not measurably different from"
    return (
        f"The features are {comparison} those of the untrained network: {measured} "
        f"instead of {_percent(untrained)}."
    )


def compared(results: tuple[Result, ...]) -> tuple[Result | None, Result | None]:
    """Finds the newest accuracy, if possible with the same one of another network.

    Args:
        results: Tuple of `Result`, oldest first.

    Returns:
        `(pretrained, untrained)`: `Result`s of the same evaluator, images and
        settings. Either may be `None`.
    """
    newest: dict[str, dict] = {"pretrained": {}, "untrained": {}}
    for result in results:
        if result.metric == "top1" and result.backbone in newest:
            settings = tuple(sorted(result.settings.items()))
            key = (result.protocol, result.source, settings, result.seed)
            newest[result.backbone].pop(key, None)  # The new one is the last.
            newest[result.backbone][key] = result
    pretrained, untrained = newest["pretrained"], newest["untrained"]
    both = [key for key in pretrained if key in untrained]
    for key in reversed(both or list(pretrained)):
        return pretrained[key], untrained.get(key)
    return None, None


def evaluator(result: Result) -> str:
    """Returns the name and the settings of a result's evaluator."""
    settings = settings_text(result.settings)
    return f"{result.protocol}, {settings}" if settings else result.protocol


def _percent(result):
    return f"{100 * result.value:.1f} %"
