"""The Barlow Twins model: a backbone and a projector with their own training step."""

import keras
import tensorflow as tf

from bt_keras import losses, networks
from bt_keras.distribution import devices
from bt_keras.errors import UsageError
from bt_keras.model.gradients import of_batch, of_microbatches
from bt_keras.model.nonfinite_guard import guarded
from bt_keras.model.replicated_mean import ReplicatedMean
from bt_keras.model.step_function import step_function


@keras.saving.register_keras_serializable("bt_keras")
class BarlowTwins(keras.Model):
    """Trains a backbone on pairs of views (Zbontar et al., arXiv 2103.03230).

    Both views go through one network, one after the other, so that batch norm sees
    each view's own statistics. `fit` and `evaluate` take a dataset of
    `(view_a, view_b)` or `((view_a, view_b), label)`, each view (N, H, W, C), and log
    `loss`, `invariance` and `redundancy`, with
    `loss = invariance + lambd * redundancy` of the global batch. Called like a
    function, the model gives the backbone's features, which is what training is for.

    Args:
        backbone: a built `keras.Model` or layer from images (N, H, W, C) to features
            (N, F): `bt_keras.resnet(...)`, one of `keras.applications` with
            `pooling="avg"`, or any other.
        projector: sequence of ints, the widths of the projector's layers; or a
            `keras.Model` from (N, F) to (N, D). It is not used after pretraining.
        lambd: float >= 0, the weight of the redundancy term.
        implementation: how the loss is computed, see `bt_keras.barlow_twins_loss`.
        microbatches: int >= 1, in how many parts a replica's batch goes through the
            network. With 4, activations take a quarter of the memory and a step a
            third more work; the loss and its gradient are those of the whole batch,
            and batch norm sees a part at a time. It must divide the batch.
        **kwargs: of `keras.Model` (`name`, `dtype`).

    Raises:
        UsageError: if the backbone does not give (N, F), `microbatches` is not a
            positive int or does not divide the batch, or a dataset's elements are not
            pairs of images.

    Example:

    >>> model = bt_keras.BarlowTwins(bt_keras.resnet(50))
    >>> model.compile(optimizer=bt_keras.LARS(0.2, bias_learning_rate=3e-4))
    >>> model.fit(bt_keras.pairs("tfds:imagenet2012", bt_keras.views(), 256))
    >>> features = model(images)
    """

    def __init__(
        self,
        backbone,
        projector=(8192, 8192, 8192),
        lambd=5e-3,
        implementation="auto",
        microbatches=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(microbatches, int) or microbatches < 1:
            raise UsageError(f"microbatches={microbatches!r} must be an int above 0.")
        self.backbone = backbone
        feature_dim = networks.feature_dim(backbone)
        if not isinstance(projector, keras.Layer):
            projector = networks.projector(projector, feature_dim)
        elif not projector.built:
            projector.build((None, feature_dim))
        self.projector = projector
        self._channels = (getattr(backbone, "input_shape", None) or (None,))[-1]
        self.lambd = lambd
        self.implementation = implementation
        self.microbatches = microbatches
        self._trackers = [
            ReplicatedMean(name=name) for name in ("loss", "invariance", "redundancy")
        ]
        self.built = True

    def build(self, input_shape=None):
        # Backbone and projector came built; `Model.build` would call the model.
        self.built = True

    def call(self, inputs, training=False):
        return self.backbone(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return self.backbone.compute_output_shape(input_shape)

    def project(self, images, training=False):
        """Sends images through backbone and projector.

        Args:
            images: float Tensor (N, H, W, C), normalised.
            training: bool, whether batch norm uses (and keeps) the batch's statistics.

        Returns:
            Tensor (N, D), the raw projections that the loss standardises, in the
            compute dtype.
        """
        features = self.backbone(images, training=training)
        return self.projector(features, training=training)

    def compile(self, optimizer="rmsprop", *, jit_compile="auto", **kwargs):
        """Prepares the model for `fit`; the loss is the model's own.

        Compile again after `trainable` of a layer has changed: the optimizer's
        variables are made here.

        Args:
            optimizer: a Keras optimizer, such as `bt_keras.LARS`, or its name.
            jit_compile: bool, whether XLA compiles the step; `"auto"` for where that
                pays, see `bt_keras.distribution.devices.xla_pays`.
            **kwargs: of `keras.Model.compile` (`run_eagerly`,
                `steps_per_execution`, `auto_scale_loss`).
        """
        if jit_compile == "auto":
            with self.distribute_strategy.scope():
                jit_compile = devices.xla_pays()
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        # A step that creates the optimizer's variables would be traced twice.
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config):
        # The device may be another than where the model was saved: "auto" again.
        config = {**config, "jit_compile": "auto"}
        self.compile(**keras.saving.deserialize_keras_object(config))

    @property
    def metrics(self):
        return self._trackers

    def train_step(self, data):
        """One step on this replica's part of a batch.

        What each of R replicas sends, n rows of D projections, N = R n, P trainable
        parameters, and batch norms of C channels:

        - loss by Gram matrices: a gather of 2nD floats, sums of 1 and of 2D; or by
          correlation: a gather of 4D + 1, sums of D² + D (a block of columns at a time
          if that is large) and of 2D;
        - every batch norm, for each view and micro-batch: sums of 2C + 1 forward and of
          2C backward;
        - one sum of 1, whether all is finite, and one of the P gradients.

        A gather of TensorFlow's sends the two ints of the shape before it.

        Args:
            data: `(view_a, view_b)` or `((view_a, view_b), label)`.

        Returns:
            dict of float32 scalars, `"loss"`, `"invariance"` and `"redundancy"` of the
            global batch. Where it or a gradient is not finite on some replica, the
            loss is NaN and the gradients are taken as 0: weights stay finite, but move
            by what momentum and decay make of that, so that training should stop
            (`keras.callbacks.TerminateOnNaN`).
        """
        views = _views(data, self._channels)
        if self.microbatches == 1:
            gradients, logs = of_batch(self, *views)
        else:
            gradients, logs = of_microbatches(self, *views, self.microbatches)
        scale = getattr(self.optimizer, "dynamic_scale", None)
        gradients, logs = guarded(gradients, logs, scale)
        self.optimizer.apply(gradients, self.trainable_variables)
        return logs

    def test_step(self, data):
        """Returns the logs of `train_step` without training."""
        view_a, view_b = _views(data, self._channels)
        return self.loss_terms(self.project(view_a), self.project(view_b))

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self.train_function = step_function(self, self.train_step)

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self.test_function = step_function(self, self.test_step)

    def _maybe_symbolic_build(self, *args, **kwargs):
        # Built by `__init__` and `compile`. Under a strategy Keras would take a batch
        # for it, and under several workers fail.
        pass

    def loss_terms(self, z_a, z_b):
        """The loss of two views' projections and its terms.

        Args:
            z_a: float Tensor (n, D), this replica's rows.
            z_b: float Tensor (n, D).

        Returns:
            dict of float32 scalars, `"loss"`, `"invariance"` and `"redundancy"`, of
            the global batch.
        """
        invariance, redundancy = losses.barlow_twins_terms(
            z_a, z_b, self.implementation
        )
        loss = invariance + self.lambd * redundancy
        return {"loss": loss, "invariance": invariance, "redundancy": redundancy}

    def regularisation(self):
        """This replica's share of the layers' own losses, such as of regularisers.

        Returns:
            float32 scalar: their sum over the number of replicas, since gradients are
            summed over replicas.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return sum(self.losses, tf.constant(0.0)) / replicas

    def track(self, logs):
        """Takes a step's logs, of all replicas, into the epoch's means.

        Args:
            logs: dict of scalars by the names of the metrics.
        """
        for tracker in self._trackers:
            tracker.update_state(logs[tracker.name])

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "projector": keras.saving.serialize_keras_object(self.projector),
            "lambd": self.lambd,
            "implementation": self.implementation,
            "microbatches": self.microbatches,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for part in ("backbone", "projector"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)


def _views(data, channels):
    """Takes the two views out of a dataset's element, label or not."""
    parts = data if isinstance(data, (tuple, list)) else (data,)
    # `train_on_batch` fills up with None: (view_a, view_b, None).
    parts = [part for part in parts if part is not None]
    pair = parts[0] if isinstance(parts[0], (tuple, list)) else parts
    shapes = [tf.TensorShape(getattr(view, "shape", None)) for view in pair]
    expected = tf.TensorShape((None, None, None, channels))
    if len(shapes) != 2 or not all(
        s.rank == 4 and s.is_compatible_with(expected) for s in shapes
    ):
        raise UsageError(
            "the dataset's elements must be (view_a, view_b) or ((view_a, view_b), "
            f"label), each view (N, H, W, {channels or 'C'}); got shapes "
            f"{', '.join(map(str, shapes))}."
        )
    if not shapes[0][:1].is_compatible_with(shapes[1][:1]):
        raise UsageError(
            f"both views must be of the same images; got {shapes[0][0]} of the one and "
            f"{shapes[1][0]} of the other."
        )
    return pair
