"""The contract of evaluators, and the list of all evaluators.

A new evaluator is one file with a subclass of `Evaluator`, one line in `EVALUATORS` and
one entry under `config.evaluation`, which has its constructor's arguments.
`bt-keras evaluate --protocol=NAME` and `--protocol=all` then run it, and
`bt-keras report` prints its results.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bt_keras.errors import UsageError

if TYPE_CHECKING:
    from bt_keras.data import Source
    from bt_keras.evaluation.frozen_features import FrozenBackbone
    from bt_keras.evaluation.results import Result
    from bt_keras.evaluation.target import EvaluationTarget

# Where each evaluator lives. They are imported when used: flags are checked before
# TensorFlow, which takes seconds, is imported.
EVALUATORS = {
    "knn": "bt_keras.evaluation.knn.KNN",
    "retrieval": "bt_keras.evaluation.retrieval.Retrieval",
    "linear_cached": "bt_keras.evaluation.cached_linear_probe.CachedLinearProbe",
    "linear": "bt_keras.evaluation.linear_probe.LinearProbe",
    "transfer": "bt_keras.evaluation.transfer.Transfer",
    "multilabel": "bt_keras.evaluation.multilabel.MultiLabel",
    "semi": "bt_keras.evaluation.semi.SemiSupervised",
    "finetune": "bt_keras.evaluation.finetune.FineTuning",
    "labelfree": "bt_keras.evaluation.label_free.LabelFree",
}
# The protocol of every evaluator that the data allow.
ALL = "all"
# Names for several evaluators that are run together.
_GROUPS: dict[str, tuple[str, ...]] = {
    "linear": ("linear_cached", "linear"),
    "linear_exact": ("linear",),
    "cached": ("knn", "linear_cached"),
    "full": ("knn", "linear"),
}
# From each protocol that a user can choose to the evaluators that it runs.
PROTOCOLS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in EVALUATORS},
    **_GROUPS,
    ALL: tuple(EVALUATORS),
}


class Evaluator(abc.ABC):
    """Measures how good a backbone's features are.

    Attributes:
        name: String, the evaluator's key in `EVALUATORS`.
        config_entry: String, its entry under `config.evaluation`.
        needs_labels: Boolean, whether the images must have labels.

    Attributes whose names do not begin with "_" are the settings of a measurement: its
    results are not measured again as long as they, the network and the images stay the
    same.

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

    def check(self, frozen: FrozenBackbone, target: EvaluationTarget) -> None:
        """Checks that the data allow this evaluation, before any work is done.

        Args:
            frozen: `FrozenBackbone`.
            target: `EvaluationTarget` that `frozen` was made of.

        Raises:
            UsageError: If they do not. `--protocol=all` prints the message
                and continues with the next evaluator.
        """
        self.check_sources(frozen.train_source, frozen.test_source)

    def check_sources(self, train: Source, test: Source) -> None:
        """Checks that images can be evaluated on, before there is a network.

        Args:
            train: `Source` of the training images.
            test: `Source` of the test images.

        Raises:
            UsageError: If they cannot.
        """
        if self.needs_labels:
            for source in (train, test):
                source.require_labels("evaluation")

    def parts(self) -> Sequence[Evaluator]:
        """Divides the evaluation into measurements.

        Returns:
            Sequence of `Evaluator`s that yield one list of results each, in turn what
            this one yields. An interrupted evaluation resumes with the first part that
            is not finished.
        """
        return [self]

    def settings(self) -> dict[str, Any]:
        """Returns everything that the results depend on besides network and images."""
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    def depends_on(self, frozen: FrozenBackbone) -> dict[str, Any]:
        """Returns what the results depend on besides backbone, images and settings.

        Args:
            frozen: `FrozenBackbone`.

        Returns:
            Dict of JSON values. Empty unless an evaluator overrides it.
        """
        return {}

    @abc.abstractmethod
    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Runs the evaluation; results are stored as soon as they are yielded.

        Args:
            frozen: `FrozenBackbone`, which is not changed.

        Yields:
            List of `Result`, one for each metric of a measurement. An evaluator that
            yields several lists overrides `parts`.
        """


def evaluator_names(protocol: str) -> tuple[str, ...]:
    """Returns the names of the evaluators of one or several protocols.

    Args:
        protocol: String, keys of `PROTOCOLS`, separated by commas.

    Returns:
        Tuple of strings, each once.

    Raises:
        UsageError: If a protocol does not exist.

    Example:

    >>> from bt_keras.evaluation.evaluator import evaluator_names
    >>> evaluator_names("cached,finetune")
    ('knn', 'linear_cached', 'finetune')
    """
    names: list[str] = []
    for part in protocol.split(","):
        if part.strip() not in PROTOCOLS:
            raise UsageError(
                f"protocol={part.strip()!r} is not one of {', '.join(PROTOCOLS)}."
            )
        names += PROTOCOLS[part.strip()]
    return tuple(dict.fromkeys(names))


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
