"""The contract of evaluators, and the list of all evaluators.

A new evaluator is one file with a subclass of `Evaluator`, one line in `EVALUATORS` and
one entry under `config.evaluation`, which has its constructor's arguments.
`bt-keras evaluate --protocol=NAME` then runs it, and `bt-keras report` prints its
results.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bt_keras.evaluation.frozen_features import FrozenBackbone
    from bt_keras.evaluation.results import Result

# Where each evaluator lives. They are imported when used: flags are checked before
# TensorFlow, which takes seconds, is imported.
EVALUATORS = {
    "knn": "bt_keras.evaluation.knn.KNN",
    "linear": "bt_keras.evaluation.linear_probe.LinearProbe",
    "linear_cached": "bt_keras.evaluation.linear_probe.CachedLinearProbe",
    "finetune": "bt_keras.evaluation.finetune.FineTuning",
    "labelfree": "bt_keras.evaluation.label_free.LabelFree",
}
# Names for several evaluators that are run together.
_GROUPS = {"cached": ("knn", "linear_cached"), "full": ("knn", "linear")}
_GROUPED = {name for names in _GROUPS.values() for name in names}
# From each protocol that a user can choose to the evaluators that it runs.
PROTOCOLS = _GROUPS | {name: (name,) for name in EVALUATORS if name not in _GROUPED}


class Evaluator(abc.ABC):
    """Measures how good a backbone's features are.

    Attributes:
        name: String, the evaluator's key in `EVALUATORS`.
        config_entry: String, its entry under `config.evaluation`.
        needs_labels: Boolean, whether the images must have labels.

    Example:

    >>> from bt_keras.evaluation.evaluator import Evaluator
    >>> from bt_keras.evaluation.results import Result
    >>> class FeatureNorm(Evaluator):
    ...     name = "feature_norm"
    ...     config_entry = "feature_norm"
    ...     needs_labels = False
    ...
    ...     def run(self, frozen):
    ...         features = frozen.test.features
    ...         norm = float(np.linalg.norm(features, axis=1).mean())
    ...         yield [Result(self.name, "norm", norm, n=len(features))]
    """

    name: str
    config_entry: str
    needs_labels = True

    @classmethod
    def from_config(cls, entry: Mapping[str, Any], seed: int) -> Evaluator:
        """Builds the evaluator.

        Args:
            entry: Dict, the evaluator's entry of the config.
            seed: Integer, the config's seed. Ignored by evaluators that are
                deterministic or that choose their own seeds.
        """
        return cls(**entry)

    @abc.abstractmethod
    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Runs the evaluation; results are stored as soon as they are yielded.

        Args:
            frozen: `FrozenBackbone`, which is not changed.

        Yields:
            List of `Result`, one for each metric of a measurement.
        """


def build_evaluator(
    name: str, entries: Mapping[str, Any], seed: int, **overrides: Any
) -> Evaluator:
    """Builds an evaluator from its entry of the config.

    Args:
        name: String, a key of `EVALUATORS`.
        entries: Dict, `config.evaluation`.
        seed: Integer, `config.seed`.
        **overrides: Arguments that replace those of the entry.

    Returns:
        `Evaluator`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras.evaluation.evaluator import build_evaluator
    >>> config = bt_keras.config.default()
    >>> build_evaluator("knn", config.evaluation, config.seed, k=20).k
    20
    """
    module, class_name = EVALUATORS[name].rsplit(".", 1)
    evaluator = getattr(importlib.import_module(module), class_name)
    entry = {**entries[evaluator.config_entry], **overrides}
    return evaluator.from_config(entry, seed)
