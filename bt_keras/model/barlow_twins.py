"""The Barlow Twins model: a backbone and a projector with their own training step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bt_keras import checks, losses, networks
from bt_keras.model import both_views, parts, prefetch, serialization, step
from bt_keras.model.observers import Observer, Observers
from bt_keras.model.replicated_mean import means, update_means
from bt_keras.model.step_function import chosen_jit_compile, renewed


@keras.saving.register_keras_serializable("bt_keras")
class BarlowTwins(keras.Model):
    """Trains a backbone on pairs of views (https://arxiv.org/abs/2103.03230).

    Section 2.1 of the paper: both views pass through the same backbone and projector,
    one after the other, so that batch norm uses the statistics of each view. The loss
    of the embeddings is `invariance + lambd * redundancy` of the global batch, see
    `bt_keras.barlow_twins_loss`.

    `fit` and `evaluate` accept datasets of `(view_a, view_b)` or
    `((view_a, view_b), label)`, each view an input of the backbone: images (N, H, W, C)
    such as those of `bt_keras.pairs`, tensors of any other rank, or nests of tensors
    (dicts, lists). They log `loss`, `invariance` and `redundancy`. `model(x)` returns
    the backbone's features.

    Args:
        backbone: Built `keras.Model` or layer from any inputs to features (N, F):
            `bt_keras.resnet(...)`, a model of `keras.applications` with
            `include_top=False` and `pooling="avg"`, what
            `bt_keras.load_backbone(..., trainable=True)` returns, whose layers are
            trained without its normalization, or any other.
        projector: Sequence of ints, the widths of the projector's layers; or a
            `keras.Model` from (N, F) to (N, D). It is not used after pretraining.
            Defaults to `(8192, 8192, 8192)`.
        lambd: Float >= 0, the weight of the redundancy term. Defaults to `5e-3`.
        implementation: How the loss is computed, see `bt_keras.barlow_twins_loss`.
            Defaults to `"auto"`.
        microbatches: Integer >= 1 that divides the batch of a replica, the number of
            parts in which it passes through the network. With 4, activations need a
            quarter of the memory, and a step takes a third longer. The loss and its
            gradient are those of the whole batch; batch norm uses the statistics of
            each part. Defaults to `1`.
        **kwargs: Keyword arguments of `keras.Model` (`name`, `dtype`).

    Raises:
        UsageError: If `fit` would not train the backbone (a layer of tf-keras, a
            `hub.KerasLayer`, a model without trainable weights), if it does not return
            (N, F) or was made outside the strategy's scope, if another argument has
            the wrong type or is out of range, `microbatches` does not divide the batch,
            or the elements of a dataset are not pairs of inputs of the backbone.

    Example:

    >>> backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> model.compile(optimizer=bt_keras.LARS(0.2))
    >>> view_a = np.random.default_rng(0).normal(size=(8, 16, 16, 3))
    >>> view_b = view_a[:, :, ::-1]
    >>> history = model.fit(view_a, view_b, batch_size=4, verbose=0)
    >>> sorted(history.history)
    ['invariance', 'loss', 'redundancy']
    >>> model(view_a).shape  # features of the backbone
    TensorShape([8, 64])
    """

    # What `batch_terms` returns; `fit` logs the means over the epoch.
    log_names: tuple[str, ...] = ("loss", "invariance", "redundancy")
    # Whether the elements of a dataset must have labels.
    needs_labels = False
    # Forward and backward passes of one view that `batch_terms` adds, for plans.
    added_passes: tuple[int, int] = (0, 0)

    def __init__(
        self,
        backbone: keras.Model | keras.Layer,
        projector: Sequence[int] | keras.Model = (8192, 8192, 8192),
        lambd: float = 5e-3,
        implementation: str = "auto",
        microbatches: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.lambd = checks.number("lambd", lambd, checks.NOT_NEGATIVE)
        self.implementation = checks.choice(
            "implementation", implementation, losses.IMPLEMENTATIONS
        )
        self.microbatches = checks.number("microbatches", microbatches, checks.COUNT)
        self.backbone, self.projector = parts.checked_parts(
            backbone, projector, self.distribute_strategy
        )
        self._trackers = means(*self.log_names)
        self._observers = Observers(self)
        self.stacks: str | None = None  # `compile` decides, see `both_views`.
        self.built = True

    def build(self, input_shape=None):
        # Backbone and projector are already built; `Model.build` would call the model.
        self.built = True

    def call(self, inputs, training=False):
        return self.backbone(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return self.backbone.compute_output_shape(input_shape)

    def project(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Passes a view through backbone and projector.

        Args:
            inputs: What the backbone takes, such as normalized images, a float tensor
                (N, H, W, C).
            training: Boolean, whether batch norm uses the statistics of the batch and
                updates its moving ones. Defaults to `False`.

        Returns:
            Tensor (N, D) in the compute dtype, the raw embeddings, which the loss
            standardizes.
        """
        features = self.backbone(inputs, training=training)
        return self.projector(features, training=training)

    def export(self, filepath: str | os.PathLike, *args, **kwargs) -> None:
        """Exports the backbone's features, see `keras.Model.export`."""
        networks.as_model(self.backbone).export(filepath, *args, **kwargs)

    def compile(
        self, optimizer="rmsprop", *, jit_compile: bool | str = "auto", **kwargs
    ):
        """Configures the model for `fit`. The loss is part of the model.

        Compile again after changing `trainable` of a layer: the variables of the
        optimizer are created here.

        Args:
            optimizer: Keras optimizer, such as `bt_keras.LARS`, or its name. Defaults
                to `"rmsprop"`.
            jit_compile: Boolean, whether to compile the step with XLA. `"auto"` selects
                XLA on the devices where it is faster, see
                `bt_keras.distribution.devices.xla_pays`; pass a bool to override.
                Defaults to `"auto"`.
            **kwargs: Keyword arguments of `keras.Model.compile` (`run_eagerly`,
                `steps_per_execution`, `auto_scale_loss`).
        """
        jit_compile = chosen_jit_compile(jit_compile, self.distribute_strategy)
        self.stacks = both_views.stacked_part(self)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        # A step that creates the optimizer's variables would be traced twice.
        parts.build_optimizer(self)

    def compile_from_config(self, config):
        # The device may differ from the one where the model was saved.
        config = {**config, "jit_compile": "auto"}
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(self, x=None, *args, **kwargs):
        """Trains the model, see `keras.Model.fit`; prefetches endless data to a GPU."""
        x = prefetch.to_device(x, self.distribute_strategy)
        with self._observers.scope():  # Those that callbacks add leave with them.
            return super().fit(x, *args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Computes the loss without training, see `keras.Model.evaluate`."""
        with self._observers.scope():
            return super().evaluate(*args, **kwargs)

    def observe(self, observer: Observer) -> None:
        """Shows every step of the following `fit`s to an observer.

        Observers do not change the model: its weights, its variables and its files are
        those of training without them. An observer that a callback adds in `set_model`
        is removed when `fit` ends.

        Args:
            observer: `bt_keras.model.observers.Observer`.

        Raises:
            UsageError: If another one has its name, or the model overrides `project`,
                so that its features are not known.
        """
        self._observers.add(observer)

    def unobserve(self, observer: Observer) -> None:
        """Removes an observer that `observe` added; the next `fit` is without it.

        Args:
            observer: `bt_keras.model.observers.Observer`.
        """
        self._observers.remove(observer)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Tuple of `bt_keras.model.observers.Observer`, in the order of `observe`."""
        return self._observers.all

    @property
    def metrics(self):
        return [*self._trackers, *self._observers.metrics]

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """Runs one step on this replica's shard of a batch.

        Communication per step, with R replicas of n rows each, D the width of the
        embeddings, P trainable parameters, and C channels of a batch norm:

        - loss by Gram matrices: one all-gather of 2nD floats, all-reduces of 1 and 2D;
          by correlation: one all-gather of 4D + 1, all-reduces of D² + D (in blocks of
          columns if that is large) and 2D;
        - every batch norm, for each view and micro-batch: all-reduces of 2C + 1 forward
          and 2C backward; where both views pass as one batch (see `both_views`), of
          4C + 1 and 4C for each micro-batch;
        - one all-reduce of 1, whether all values are finite, and one of P gradients.

        TensorFlow precedes every all-gather by one of the two ints of the shape.

        Args:
            data: `(view_a, view_b)` or `((view_a, view_b), label)`.

        Returns:
            Dict of float32 scalars, `"loss"`, `"invariance"` and `"redundancy"` of the
            global batch, and what the observers return. If the loss or a gradient is
            non-finite on any replica, the loss is NaN and the gradients are replaced by
            0. Weights stay finite then, but momentum and decay still move them, so stop
            training (`keras.callbacks.TerminateOnNaN`).
        """
        return step.train(self, data, self._observers)

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """Returns the logs of `train_step` without training."""
        return step.test(self, data, self._observers)

    def make_train_function(self, force=False):
        parts.check_trains(self.backbone)
        self.train_function = renewed(self.train_function, self, self.train_step, force)

    def trace_train_step(self, dataset: tf.data.Dataset) -> None:
        """Traces the step that `fit` will run on a dataset, which takes seconds.

        `fit` does it otherwise in its first step. It does nothing if `fit` distributes
        the dataset or copies its batches to a GPU.

        Args:
            dataset: `tf.data.Dataset` of what `train_step` takes.
        """
        self.make_train_function()
        if prefetch.is_iterated_as_is(dataset, self.distribute_strategy):
            self.train_function.trace(dataset.element_spec)

    def make_test_function(self, force=False):
        self.test_function = renewed(self.test_function, self, self.test_step, force)

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Skips Keras's build: it consumes a batch, and fails with several workers."""

    def batch_terms(
        self,
        views: tuple[Any, Any],
        labels: Any,
        embeddings: tuple[tf.Tensor, tf.Tensor],
        training: bool = True,
    ) -> dict[str, tf.Tensor]:
        """Computes the loss of a batch, and its terms; a step calls it once.

        Subclasses override it if their loss needs more than the embeddings, for which
        it is enough to override `loss_terms`.

        Args:
            views: Tuple of two inputs of the backbone, the rows of this replica, not of
                a micro-batch.
            labels: What the elements of the dataset have after the views, or `None`.
            embeddings: Tuple of two tensors (n, D), those of `views`.
            training: Boolean, `False` in `evaluate`. Defaults to `True`.

        Returns:
            Dict of float32 scalars by `log_names`, equal on all replicas.
        """
        return self.loss_terms(*embeddings)

    def loss_terms(self, z_a: tf.Tensor, z_b: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the loss of the embeddings of two views, and its terms.

        Args:
            z_a: Float tensor (n, D), the rows of this replica.
            z_b: Float tensor (n, D).

        Returns:
            Dict of float32 scalars, see `train_step`.
        """
        invariance, redundancy = losses.barlow_twins_terms(
            z_a, z_b, self.implementation
        )
        loss = invariance + self.lambd * redundancy
        return {"loss": loss, "invariance": invariance, "redundancy": redundancy}

    def update_metrics(self, logs: dict[str, tf.Tensor]) -> None:
        """Adds the logs of a step, equal on all replicas, to the means of the epoch."""
        update_means(self.metrics, logs)

    def get_config(self) -> dict:
        return super().get_config() | serialization.config_of(self)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        return serialization.construct(cls, config, custom_objects)
