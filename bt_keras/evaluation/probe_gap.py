"""How far apart the exact and the cached linear probe are."""

from __future__ import annotations

import json
from collections.abc import Iterable

from bt_keras.evaluation.results import Result

_PROBES = {"linear": "exact", "linear_cached": "cached"}
_RATES = ("learning_rate", "rates")


def probe_gaps(results: Iterable[Result]) -> list[str]:
    """Compares the top-1 accuracies of both linear probes of a backbone.

    Probes with other settings, such as epochs, are not compared; learning rates may
    differ, and are named then.

    Args:
        results: `Result`s. A later one replaces an earlier one of the same probe.

    Returns:
        List of strings, a line for each backbone and settings of both probes.

    Example:

    >>> from bt_keras.evaluation.probe_gap import probe_gaps
    >>> from bt_keras.evaluation.results import Result
    >>> about = {"n": 2000, "backbone": "pretrained", "epoch": "6", "source": "shipped"}
    >>> probes = {"linear": 0.83, "linear_cached": 0.8425}
    >>> probe_gaps([Result(name, "top1", v, **about) for name, v in probes.items()])
    ['linear probes of pretrained (epoch 6) on shipped: exact 83.00 %, cached 84.25 %: \
1.25 points apart']
    """
    found: dict[tuple, dict[str, Result]] = {}
    for result in results:
        if result.protocol in _PROBES and result.metric == "top1":
            others = {k: v for k, v in result.settings.items() if k not in _RATES}
            settings = json.dumps(others, sort_keys=True), result.seed
            key = (result.backbone, result.epoch, result.source, result.n, *settings)
            found.setdefault(key, {})[_PROBES[result.protocol]] = result
    return [
        f"linear probes of {backbone} (epoch {epoch}) on {source}: "
        + _apart(probes["exact"], probes["cached"])
        for (backbone, epoch, source, *_), probes in found.items()
        if len(probes) == len(_PROBES)
    ]


def _apart(exact, cached):
    probes = {"exact": exact, "cached": cached}
    rates = {name: each.settings.get("learning_rate") for name, each in probes.items()}
    differ = None not in rates.values() and len({*rates.values()}) > 1
    values = (
        f"{name} {100 * each.value:.2f} %"
        + (f" (rate {rates[name]:g})" if differ else "")
        for name, each in probes.items()
    )
    difference = 100 * abs(exact.value - cached.value)
    return f"{', '.join(values)}: {difference:.2f} points apart"
