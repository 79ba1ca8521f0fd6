"""Exported backbones as Keras 3 layers."""

import inspect
import shutil
import tempfile
import weakref
from pathlib import Path

import keras
import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.errors import UsageError, one_line
from bt_keras.hub import resolve, saved_model_files

_INTERFACE = ("variables", "trainable_variables", "regularization_losses")
# What levels of 8 bits, or images that somebody has normalised, are not within.
_TOLERANCE = 1e-3
# By the SHA-256 of the graph, so that a clone finds the files of the layer it is of.
_LIVING = weakref.WeakValueDictionary()


def load_backbone(handle, trainable=False, *, return_endpoints=False, check_range=True):
    """Loads an exported backbone as a Keras 3 layer.

    Args:
        handle: str or path: a SavedModel folder, a `.tar.gz` of one, either of them
            behind `file://`, or a TensorFlow Hub handle (a URL), which is downloaded
            once and cached where `TFHUB_CACHE_DIR` says.
        trainable: bool, whether `fit` changes its weights. If False it stays in
            evaluation mode too.
        return_endpoints: bool, whether to give all feature maps besides the features.
        check_range: bool, whether to refuse images outside of [0, 1]. It is checked
            where the layer is called eagerly, not in the graphs of `fit` and `predict`.
            (Inside of a model, Keras adds lines of its own to the error.)

    Returns:
        `HubBackbone`, a `keras.Layer`: images (N, H, W, 3) in [0, 1] to features
        (N, F), float32; or with `return_endpoints=True` to a dict of the `"features"`
        and the maps, `"stride4"` (N, H / 4, W / 4, C) to `"stride32"`.

    Raises:
        UsageError: if there is no such module, or it cannot be trained further.

    Example:

    >>> backbone = bt_keras.load_backbone("runs/cifar10/module", trainable=True)
    >>> classifier = keras.Sequential([backbone, keras.layers.Dense(10)])
    """
    return HubBackbone(
        handle,
        return_endpoints=return_endpoints,
        check_range=check_range,
        trainable=trainable,
    )


@keras.saving.register_keras_serializable("bt_keras")
class HubBackbone(keras.layers.Layer):
    """An exported backbone as a Keras 3 layer; made by `load_backbone`.

    Unlike `keras.layers.TFSMLayer` it passes `training` on, so that batch norm works
    as it should in fine-tuning. A `.keras` file of a model around it holds the module,
    so that the handle need not lead anywhere any more. A SavedModel is a program: load
    only those of people whom you trust.

    Under several replicas batch norm sees each replica's share of the batch, and all
    keep the mean of their statistics.

    Args:
        handle: str, as `load_backbone` takes it.
        return_endpoints: bool, as for `load_backbone`.
        check_range: bool, as for `load_backbone`.
        signature: optional dict, what `get_config` wrote; used by `from_config` alone.
        **kwargs: of `keras.layers.Layer` (`name`, `trainable`, `dtype`).

    Input: float Tensor (N, H, W, 3) in [0, 1], taken as float32 under every dtype
    policy. Output: features (N, F), or a dict, float32.
    """

    def __init__(
        self,
        handle,
        *,
        return_endpoints=False,
        check_range=True,
        signature=None,
        **kwargs,
    ):
        # Half precision has fewer levels than 8 bits of an image need.
        super().__init__(autocast=False, **kwargs)
        self.handle = str(handle)
        self.return_endpoints = return_endpoints
        self.check_range = check_range
        self._scratch = Path(tempfile.mkdtemp(prefix="bt_keras-"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self.module = None
        self._in_order = []  # As in the module, where Keras sorts by `trainable`.
        if signature is None:
            self._take(resolve.resolve(self.handle, self._unpacked()))
            signature = self._signature()
        elif folder := self._at_hand(signature["sha256"]):
            self._take(folder)
        # Otherwise a `.keras` file is being read, and `load_assets` comes.
        self._sha256 = signature["sha256"]
        self._outputs = signature["outputs"]
        self._specs = signature["variables"]
        values = self.module.variables if self.module else ["zeros"] * len(self._specs)
        for value, (shape, dtype, is_trainable) in zip(
            values, self._specs, strict=True
        ):
            self._add_variable(value, shape, dtype, is_trainable)
        self._build_at_init()

    def _unpacked(self):
        """The folder for an archive's files."""
        folder = self._scratch / "unpacked"
        folder.mkdir(exist_ok=True)
        return folder

    def _at_hand(self, sha256):
        """A folder with the graph that a config was made with, or None."""
        if living := _LIVING.get(sha256):
            return living.folder
        if not resolve.is_local(self.handle):  # A file may not make us download.
            return None
        try:
            folder = resolve.resolve(self.handle, self._unpacked())
        except UsageError:
            return None
        return folder if saved_model_files.digest(folder) == sha256 else None

    @property
    def folder(self):
        """path of the layer's own files of the module."""
        return self._scratch / "module"

    def _take(self, folder):
        """Loads a module, and keeps its files for `save_assets`."""
        saved_model_files.keep(folder, self.folder)
        self._load()

    def _load(self):
        try:
            module = tf.saved_model.load(str(self.folder))
        # TensorFlow raises various errors for files that are not what they should be.
        except Exception as error:
            reason = one_line(error, None).replace(str(self.folder), "it")
            raise UsageError(
                f"module {self.handle} cannot be loaded: {reason}"
            ) from error
        missing = [n for n in _INTERFACE if not hasattr(module, n)]
        if not callable(module):
            missing.insert(0, "__call__")
        if missing:
            raise UsageError(
                f"{self.handle} is a SavedModel, but not one to train further: it has "
                f"no {', '.join(missing)}. Write one with `bt-keras export`."
            )
        # The module of another author may take fewer.
        self._options = frozenset(inspect.signature(module.__call__).parameters)
        if self.return_endpoints and "return_endpoints" not in self._options:
            raise UsageError(f"module {self.handle} has no endpoints but its features.")
        self.module = module
        _LIVING[saved_model_files.digest(self.folder)] = self

    def _signature(self):
        """What a config has to know, to be a layer before the module is at hand."""
        trainable = {id(v) for v in self.module.trainable_variables}
        return {
            "sha256": saved_model_files.digest(self.folder),
            "outputs": None,  # Of the first call.
            "variables": [
                (list(v.shape), v.dtype.name, id(v) in trainable)
                for v in self.module.variables
            ],
        }

    def _add_variable(self, value, shape, dtype, trainable):
        """Makes a `keras.Variable`, of a loaded `tf.Variable` without a copy."""
        variable = keras.Variable(
            initializer=value,
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            name=f"variable_{len(self._in_order)}",
        )
        self._in_order.append(variable)
        self._track_variable(variable)

    def __call__(self, inputs, *args, **kwargs):
        if self.check_range and not _is_symbolic(inputs):
            _check_range(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=False):
        if self.module is None:
            raise UsageError(
                f"module {self.handle} is not at hand: load the `.keras` file that "
                "holds it, or make the layer with bt_keras.load_backbone."
            )
        training = bool(training and self.trainable)
        options = {"training": training, "return_endpoints": self.return_endpoints}
        options = {name: options[name] for name in options if name in self._options}
        outputs = _call(self.module, tf.cast(inputs, tf.float32), **options)
        if training:
            for loss in self.module.regularization_losses:
                self.add_loss(loss())
            _agree(self._statistics())
        # All but the channels may be different at the next call.
        self._outputs = keras.tree.map_structure(
            lambda t: (*[None] * (len(t.shape) - 1), t.shape[-1]), outputs
        )
        return outputs

    def compute_output_spec(self, inputs, training=False):
        if self.module is not None:
            return super().compute_output_spec(inputs, training=training)
        return keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, "float32"), self._outputs
        )

    def _statistics(self):
        """The variables that training moves past the optimizer."""
        return [
            variable
            for variable, (_, dtype, is_trainable) in zip(
                self._in_order, self._specs, strict=True
            )
            if dtype == "float32" and not is_trainable
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "handle": self.handle,
            "return_endpoints": self.return_endpoints,
            "check_range": self.check_range,
            "signature": {
                "sha256": self._sha256,
                "outputs": self._outputs,
                "variables": self._specs,
            },
        }

    def save_assets(self, dir_path):
        """Puts the module into a `.keras` file."""
        saved_model_files.put(self.folder, dir_path)

    def load_assets(self, dir_path):
        """Takes the module out of a `.keras` file, if it is not at hand already."""
        if self.module is not None:
            return
        saved_model_files.put(dir_path, self.folder)
        self._load()
        for variable, value in zip(self._in_order, self.module.variables, strict=True):
            value.assign(variable.value)
            # The optimizer, which is built by now, knows its variables by this
            # (Keras 3.8 to 3.15).
            value._unique_id = variable.value._unique_id
            variable._initialize(value)


def _agree(statistics):
    """Gives all replicas the mean of what each has gathered of its own images."""
    replicas = collectives.num_replicas()
    if replicas == 1 or not statistics:
        return
    values = [tf.convert_to_tensor(v) / replicas for v in statistics]
    means = collectives.all_reduce_sum(values)
    for variable, mean in zip(statistics, means, strict=True):
        variable.assign(mean)


def _call(module, images, **options):
    """Calls a loaded module; under a strategy, on a replica."""
    if not (tf.executing_eagerly() and tf.distribute.in_cross_replica_context()):
        return module(images, **options)
    # TensorFlow refuses to run a loaded function between the replicas.
    strategy = tf.distribute.get_strategy()
    outputs = strategy.run(module, args=(images,), kwargs=options)
    return tf.nest.map_structure(
        lambda output: strategy.experimental_local_results(output)[0], outputs
    )


def _is_symbolic(inputs):
    return isinstance(inputs, keras.KerasTensor) or (
        tf.is_tensor(inputs) and not hasattr(inputs, "numpy")
    )


def _check_range(images):
    low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise UsageError(
            f"images must lie in [0, 1], these go from {low:.4g} to {high:.4g}: divide "
            "levels by 255, and leave normalising to the module "
            "(check_range=False turns this check off)."
        )
