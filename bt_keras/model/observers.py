"""Observers: code that sees every step of a model's training without changing it.

Probes and monitors are observers. They compute inside the compiled step, from what it
has computed anyway, and their variables are not the model's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from bt_keras.errors import UsageError, shown
from bt_keras.model.both_views import overrides_project

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclasses.dataclass(frozen=True)
class StepView:
    """What an observer sees of a step, all of it from before the weights are updated.

    Tensors are those of this replica: n rows of the global batch. No gradient flows
    from them into the model.

    Args:
        views: Tuple of two inputs of the backbone, tensors or nests of tensors
            (n, ...).
        features: Tuple of two tensors (n, F), the backbone's outputs.
        embeddings: Tuple of two tensors (n, D), the projector's outputs.
        labels: What the elements of the dataset have after the views, such as an
            integer tensor (n,), or `None`.
        logs: Dict of float32 scalars, the loss and its terms, of the global batch. The
            loss is NaN if it or a gradient was non-finite on any replica.
        gradients: List of tensors or `None`, one for each of `variables`. The sums over
            all replicas are the gradients of the loss of the global batch. They are 0
            or NaN if any was non-finite, and without the scale of
            `keras.optimizers.LossScaleOptimizer`. Empty in `evaluate`.
        variables: List of the model's trainable variables.
    """

    views: tuple[Any, Any]
    features: tuple[tf.Tensor, tf.Tensor]
    embeddings: tuple[tf.Tensor, tf.Tensor]
    labels: Any
    logs: dict[str, tf.Tensor]
    gradients: Sequence[tf.Tensor | None]
    variables: Sequence[keras.Variable]


def check_name(name: str, owner: str) -> None:
    """Checks the name of an observer.

    Args:
        name: String of letters, digits, "_" and "-".
        owner: String, the class that received it, for the message.

    Raises:
        UsageError: If it is anything else.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise UsageError(
            f"name={shown(name)} of {owner} must consist of letters, digits, '_' and "
            "'-'."
        )


class Observer:
    """Sees every step of `fit`, and may keep variables and log values of its own.

    Subclasses implement `observe`, and mostly `build`. Attach one with
    `model.observe(observer)`, before `fit` or in the `set_model` of a callback.

    Args:
        name: String of letters, digits, "_" and "-", unique among the observers of a
            model. Checkpoints store the state under this name.

    Attributes:
        metrics: List of `bt_keras.model.replicated_mean.ReplicatedMean`, one for each
            value that `observe` or `observe_test` returns, created in `build`. `fit`
            logs their means over the epoch.
        variables: List of `keras.Variable`, the state that a checkpoint stores and
            restores. The metrics are stored without being listed here.

    Example:

    >>> from bt_keras.model.observers import Observer
    >>> from bt_keras.model.replicated_mean import ReplicatedMean
    >>> class Invariance(Observer):
    ...     def build(self, model):
    ...         self.metrics = [ReplicatedMean(name="share_of_invariance")]
    ...
    ...     def observe(self, step):
    ...         share = step.logs["invariance"] / step.logs["loss"]
    ...         return {"share_of_invariance": share}
    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> model.compile(optimizer=bt_keras.LARS(0.2))
    >>> model.observe(Invariance("invariance"))
    >>> view_a = np.random.default_rng(0).normal(size=(8, 16, 16, 3))
    >>> view_b = view_a[:, :, ::-1]
    >>> history = model.fit(view_a, view_b, batch_size=4, verbose=0)
    >>> sorted(history.history)
    ['invariance', 'loss', 'redundancy', 'share_of_invariance']
    """

    def __init__(self, name: str):
        check_name(name, type(self).__name__)
        self.name = name
        self.metrics: list[keras.metrics.Metric] = []
        self.variables: list[keras.Variable] = []
        self.model: keras.Model | None = None  # The one that `build` was called for.

    def build(self, model: keras.Model) -> None:
        """Creates variables and metrics, once for each model, in its strategy's scope.

        Seeds must be given: global ones would change the model's random numbers.

        Args:
            model: `bt_keras.BarlowTwins`.
        """

    def observe(self, step: StepView) -> dict[str, tf.Tensor]:
        """Sees a training step, before the optimizer updates the weights.

        It is called while the step is traced, in replica context: collectives of
        `bt_keras.distribution.collectives` are allowed, reading values is not.

        Args:
            step: `StepView`.

        Returns:
            Dict of float32 scalars by the names of `metrics`, which must be equal on
            all replicas: computed from the global batch.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `observe`.")

    def observe_test(self, step: StepView) -> dict[str, tf.Tensor]:
        """Sees a step of `evaluate`, and so of the validation in `fit`.

        Args:
            step: `StepView` of networks in inference mode, without gradients.

        Returns:
            Dict as from `observe`. Defaults to an empty one.
        """
        return {}


class Observers:
    """The observers of one model.

    This is neither a list nor a layer: Keras would make their variables the model's.

    Args:
        model: `bt_keras.BarlowTwins`.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self.all: tuple[Observer, ...] = ()

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """List of the metrics of all observers."""
        return [metric for observer in self.all for metric in observer.metrics]

    def add(self, observer: Observer) -> None:
        """Builds an observer and adds it, unless it is there already."""
        if overrides_project(self._model):
            raise UsageError(
                f"{type(self._model).__name__} overrides `project`, so that observers "
                "cannot see its features: change the backbone or the projector instead."
            )
        if not isinstance(observer, Observer):
            raise UsageError(
                f"model.observe takes an Observer, got a {type(observer).__name__}."
            )
        if observer in self.all:
            return
        if observer.name in [other.name for other in self.all]:
            raise UsageError(
                f"the model has an observer {observer.name!r} already: give one of "
                "them another name, or remove it with model.unobserve."
            )
        if observer.model is not self._model:
            with self._model.distribute_strategy.scope():
                observer.build(self._model)
            observer.model = self._model
        taken = {metric.name for metric in self._model.metrics}
        if shared := taken & {metric.name for metric in observer.metrics}:
            raise UsageError(
                f"the observer {observer.name!r} logs {', '.join(sorted(shared))}, "
                "which is logged already: give it another name."
            )
        self.all += (observer,)

    def remove(self, observer: Observer) -> None:
        """Removes an observer; its state stays, should it be added again."""
        self.all = tuple(other for other in self.all if other is not observer)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Removes on exit what was added inside, also after an error."""
        before = self.all
        try:
            yield
        finally:
            self.all = before

    def observe(self, step: StepView, loss_scale: tf.Tensor | None) -> dict:
        """Shows a training step to all observers.

        Args:
            step: `StepView` with the scaled gradients.
            loss_scale: Float32 scalar, the factor of the gradients, or `None`.

        Returns:
            Dict of all that they log.
        """
        if not self.all:
            return {}
        step = _detached(step)
        if loss_scale is not None:
            gradients = _Unscaled(step.gradients, loss_scale)
            step = dataclasses.replace(step, gradients=gradients)
        return _merged(observer.observe(step) for observer in self.all)

    def observe_test(self, step: StepView) -> dict:
        """Shows a step of `evaluate` to all observers, see `observe`."""
        if not self.all:
            return {}
        step = _detached(step)
        return _merged(observer.observe_test(step) for observer in self.all)


def _detached(step: StepView) -> StepView:
    stop = tf.stop_gradient
    return dataclasses.replace(
        step,
        features=tuple(map(stop, step.features)),
        embeddings=tuple(map(stop, step.embeddings)),
    )


class _Unscaled(Sequence):
    """Gradients without their scale, divided where an observer looks at them."""

    def __init__(self, gradients, scale):
        self._gradients, self._scale = gradients, scale

    def __len__(self):
        return len(self._gradients)

    def __getitem__(self, index):
        gradient = self._gradients[index]
        if gradient is None:
            return None
        return gradient / tf.cast(self._scale, gradient.dtype)


def _merged(dicts):
    return {name: value for each in dicts for name, value in each.items()}
