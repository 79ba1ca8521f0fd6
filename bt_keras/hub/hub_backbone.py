"""Graphs of modules as Keras layers.

`load_backbone` uses them for modules without an architecture.
"""

from __future__ import annotations

import weakref
from pathlib import Path

import keras

from bt_keras.errors import UsageError
from bt_keras.files.scratch import new_scratch
from bt_keras.hub import loaded_module, resolve, saved_model_files
from bt_keras.hub.tar_members import MAX_BYTES
from bt_keras.networks import image_range

# From the SHA-256 of the graph to a layer that has its files, for clones of the layer.
_LAYERS = weakref.WeakValueDictionary()


@keras.saving.register_keras_serializable("bt_keras")
class HubBackbone(keras.layers.Layer):
    """Graph of an exported backbone as a Keras layer, made by `load_backbone`.

    Unlike `keras.layers.TFSMLayer`, it passes `training` to the module, as batch
    normalization needs for fine-tuning. A `.keras` file of a model with this layer
    contains the module, so that it loads without the handle. A SavedModel is a
    program: load only modules from sources that you trust.

    With several replicas, batch normalization uses the statistics of each replica's
    share of the batch, and the moving statistics are averaged over the replicas.

    Args:
        handle: String or path, as for `load_backbone`.
        return_endpoints: Boolean, as for `load_backbone`. Defaults to `False`.
        check_range: Boolean, as for `load_backbone`. Defaults to `True`.
        max_bytes: Integer, as for `load_backbone`. Defaults to 8 GiB.
        signature: Optional dict written by `get_config`; only for `from_config`.
            Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer` (`name`, `trainable`, `dtype`).

    Input: float tensor (N, H, W, 3) in [0, 1], or what a module of other inputs takes.
    Output: features (N, F), or a dict of tensors. The layer computes in float32 under
    every dtype policy.
    """

    takes_unit_images = True

    def __init__(
        self,
        handle,
        *,
        return_endpoints=False,
        check_range=True,
        max_bytes=MAX_BYTES,
        signature=None,
        **kwargs,
    ):
        # Half precision cannot represent all 8-bit levels of an image.
        super().__init__(autocast=False, **kwargs)
        self.handle = str(handle)
        self.return_endpoints = return_endpoints
        self.check_range = check_range
        scratch = new_scratch()
        self._scratch = scratch.path
        weakref.finalize(self, scratch.remove)
        self.module = None
        # In the order of the module: Keras sorts by `trainable`.
        self._module_variables = []
        if signature is None:
            unpacked = self._unpack_folder()
            folder = resolve.resolve(self.handle, unpacked, max_bytes=max_bytes)
            self._load_from(folder)
            signature = self._signature()
        elif folder := self._find_module(signature["sha256"]):
            self._load_from(folder)
        # Otherwise a `.keras` file is being loaded, and `load_assets` follows.
        self._sha256 = signature["sha256"]
        self._output_shapes = signature["outputs"]
        self._specs = signature["variables"]
        values = self.module.variables if self.module else ["zeros"] * len(self._specs)
        for value, spec in zip(values, self._specs, strict=True):
            self._add_variable(value, *spec)
        self._build_at_init()

    @property
    def folder(self) -> Path:
        """Path of the layer's own copy of the module."""
        return self._scratch / "module"

    def _unpack_folder(self):
        folder = self._scratch / "unpacked"
        folder.mkdir(exist_ok=True)
        return folder

    def _find_module(self, sha256):
        """Returns a folder with the graph of this hash, or `None`."""
        if layer := _LAYERS.get(sha256):
            return layer.folder
        if not resolve.is_local(self.handle):  # Loading a file must not download.
            return None
        try:
            folder = resolve.resolve(self.handle, self._unpack_folder())
        except UsageError:
            return None
        return folder if saved_model_files.graph_sha256(folder) == sha256 else None

    def _load_from(self, folder):
        """Loads a module, and keeps its files for `save_assets`."""
        saved_model_files.link_tree(folder, self.folder)
        self._load()

    def _load(self):
        module = loaded_module.load(self.folder, self.handle)
        self._options = loaded_module.options(module)
        if self.return_endpoints and "return_endpoints" not in self._options:
            raise UsageError(
                f"module {self.handle} has no endpoints: load it with "
                "return_endpoints=False."
            )
        self.module = module
        _LAYERS[saved_model_files.graph_sha256(self.folder)] = self

    def _signature(self):
        """Returns the config entries that create the layer without the module."""
        trainable = {id(v) for v in self.module.trainable_variables}
        return {
            "sha256": saved_model_files.graph_sha256(self.folder),
            "outputs": None,  # Set by the first call.
            "variables": [
                (list(v.shape), v.dtype.name, id(v) in trainable)
                for v in self.module.variables
            ],
        }

    def _add_variable(self, value, shape, dtype, trainable):
        """Creates a `keras.Variable`, without a copy if `value` is a `tf.Variable`."""
        variable = keras.Variable(
            initializer=value,
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            name=f"variable_{len(self._module_variables)}",
        )
        self._module_variables.append(variable)
        self._track_variable(variable)

    def __call__(self, inputs, *args, **kwargs):
        if expected := loaded_module.image_shape(self.module):
            image_range.check_shape(inputs, expected)
        if self.check_range and not keras.tree.is_nested(inputs):
            image_range.check(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=False):
        if self.module is None:
            raise UsageError(
                f"module {self.handle} is not available: load the `.keras` file that "
                "contains it, or create the layer with bt_keras.load_backbone."
            )
        training = bool(training and self.trainable)
        options = {"training": training, "return_endpoints": self.return_endpoints}
        options = {name: options[name] for name in options if name in self._options}
        inputs = loaded_module.arranged(self.module, inputs)
        outputs = loaded_module.call(self.module, inputs, **options)
        if training:
            for loss in self.module.regularization_losses:
                self.add_loss(loss())
            loaded_module.average_over_replicas(self._statistics())
        # Only the number of channels is the same for every call.
        self._output_shapes = keras.tree.map_structure(
            lambda t: (*[None] * (len(t.shape) - 1), t.shape[-1]), outputs
        )
        return outputs

    def compute_output_spec(self, inputs, training=False):
        if self.module is not None:
            return super().compute_output_spec(inputs, training=training)
        return keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, "float32"), self._output_shapes
        )

    def _statistics(self):
        """Returns the variables that training updates without the optimizer."""
        return [
            variable
            for variable, (_, dtype, is_trainable) in zip(
                self._module_variables, self._specs, strict=True
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
                "outputs": self._output_shapes,
                "variables": self._specs,
            },
        }

    def save_assets(self, dir_path):
        """Writes the module into a `.keras` file."""
        saved_model_files.copy_tree(self.folder, dir_path)

    def load_assets(self, dir_path):
        """Loads the module from a `.keras` file, unless it is loaded already."""
        if self.module is not None:
            return
        saved_model_files.copy_tree(dir_path, self.folder)
        self._load()
        for variable, value in zip(
            self._module_variables, self.module.variables, strict=True
        ):
            value.assign(variable.value)
            # The optimizer has been built and identifies its variables by this id
            # (Keras 3.8 to 3.15).
            value._unique_id = variable.value._unique_id
            variable._initialize(value)
