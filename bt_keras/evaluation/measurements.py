"""Recognizes measurements that a run's results.csv already has."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bt_keras.evaluation import feature_identity
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.target import EvaluationTarget

# Folders of the package whose code results depend on.
_CODE = (*feature_identity.CODE, "evaluation", "losses", "scores")


class FinishedMeasurements:
    """Results by the digest of what they were measured with.

    A digest is one of the network's architecture and weights, of the images of both
    splits, of how they are prepared, of all settings of the evaluator, of what else it
    depends on, such as the projector, and of the versions and the code that computed
    the results. Images that cannot be recognized, such as those of a
    `tf.data.Dataset`, have none: they are always measured.

    Args:
        results: `Result`s, oldest first.
        frozen: `FrozenBackbone`.
        target: `EvaluationTarget` that `frozen` was made of.
    """

    def __init__(
        self,
        results: Iterable[Result],
        frozen: FrozenBackbone,
        target: EvaluationTarget,
    ):
        self._frozen = frozen
        self._on = _measured_on(frozen, target)
        self._results: dict[str, dict[tuple, Result]] = {}
        for result in results:
            if result.measurement:
                found = self._results.setdefault(result.measurement, {})
                settings = json.dumps(result.settings, sort_keys=True)
                found[result.metric, result.backbone, settings] = result

    def digest(self, part: Evaluator) -> str:
        """Returns the digest of a measurement, `""` if the images are not known."""
        return self._on and digest(part, self._on, part.depends_on(self._frozen))

    def find(self, part: Evaluator) -> list[Result]:
        """Returns the results of a measurement that is finished, otherwise `[]`."""
        return list(self._results.get(self.digest(part), {}).values())

    def measure(
        self, part: Evaluator, frozen: FrozenBackbone
    ) -> Iterator[tuple[list[Result], bool]]:
        """Returns the results of a finished measurement, otherwise measures.

        Args:
            part: `Evaluator`.
            frozen: `FrozenBackbone`.

        Yields:
            Tuple of a list of `Result` with the digest, and whether they are new, as
            soon as they are measured.

        Raises:
            TypeError: If the part yields several lists. An interruption could leave
                only some of them, which would pass for the whole measurement.
        """
        if found := self.find(part):
            yield found, False
            return
        key = self.digest(part)
        for number, results in enumerate(part.run(frozen)):
            if number:
                raise TypeError(
                    f"{type(part).__name__}.run yields several lists of results: "
                    "override its method parts, so that each part yields one."
                )
            yield [dataclasses.replace(r, measurement=key) for r in results], True


def digest(
    part: Evaluator, measured_on: str, depends_on: Mapping[str, Any] | None = None
) -> str:
    """Returns the digest of a measurement.

    Args:
        part: `Evaluator`.
        measured_on: String, what network and images are.
        depends_on: Dict of JSON values, what else the results depend on. Defaults to
            `None`: nothing.

    Returns:
        String of 16 hexadecimal digits.

    Example:

    >>> from bt_keras.evaluation.knn import KNN
    >>> from bt_keras.evaluation.measurements import digest
    >>> digest(KNN(), "") == digest(KNN(k=200), ""), digest(KNN(), "") == digest(
    ...     KNN(k=20), ""
    ... )
    (True, False)
    """
    settings: Mapping[str, Any] = part.settings()
    values = {
        "evaluator": part.name,
        "settings": settings,
        "on": measured_on,
        "others": depends_on or {},
    }
    text = json.dumps(values, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _measured_on(frozen, target):
    """Returns a digest of network and images, `""` if the images are not known."""
    images = [
        feature_identity.of_images(source)
        for source in (frozen.train_source, frozen.test_source)
    ]
    if None in images:
        return ""
    described = {
        "network": feature_identity.of_network(frozen.backbone),
        "images": images,
        # Results are shown by these two.
        "backbone": [target.name, target.epoch],
        "settings": feature_identity.of_settings(target.config, _CODE),
        "features": target.config.evaluation.feature_dtype,
    }
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
