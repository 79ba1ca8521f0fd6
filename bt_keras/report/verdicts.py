"""Two sentences that judge a run: how training went, and what the features are worth.

The first rule that holds gives the sentence; `docs/report.md` lists them.
"""

from __future__ import annotations

import math

from bt_keras.evaluation.intervals import wilson
from bt_keras.report.accuracies import (
    compared,
    evaluator,
    is_accuracy_of_features,
    is_rank_of_features,
)
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
    accuracies = list(filter(is_accuracy_of_features, contents.results))
    pretrained, untrained = compared(accuracies)
    workdir = f" --workdir={contents.path}" if contents.path else ""
    command = f"bt-keras evaluate{workdir}"
    if pretrained is None:
        return _without_accuracy(contents, command)
    epoch = _of_epoch(pretrained)
    several = len({result.source for result in accuracies}) > 1
    of_source = f" of {pretrained.source}" if several else ""
    measured = (
        f"top-1 accuracy {_percent(pretrained)} on {pretrained.n} test images"
        f"{of_source} ({evaluator(pretrained)})"
    )
    if untrained is None:
        return (
            f"The features{epoch} reach {measured}; `{command} --untrained` says what "
            "an untrained network reaches."
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
        f"The features{epoch} are {comparison} those of the untrained network: "
        f"{measured} instead of {_percent(untrained)}."
    )


def _without_accuracy(contents, command):
    advice = f"unknown: `{command}` measures it if the images have labels."
    ranks = filter(is_rank_of_features, contents.results)
    pretrained, untrained = compared(ranks)
    if pretrained is None:
        return f"The accuracy of the features is {advice}"
    before = f" instead of {untrained.value:.1f} before training" if untrained else ""
    return (
        f"Without labels, the features{_of_epoch(pretrained)} have the effective rank "
        f"{pretrained.value:.1f}{before} (RankMe of {pretrained.n} images); their "
        f"accuracy is {advice}"
    )


def _of_epoch(result):
    return f" of epoch {result.epoch}" if result.epoch.isdecimal() else ""


def _percent(result):
    return f"{100 * result.value:.1f} %"
