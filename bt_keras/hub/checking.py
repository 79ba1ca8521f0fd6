"""Whether an exported module, loaded elsewhere, is the backbone it was made from."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.errors import UsageError

_RELOADER = Path(__file__).with_name("reload_module.py")


def reload_difference(backbone, folder, images):
    """Compares a backbone with its export, loaded by TensorFlow Hub elsewhere.

    Args:
        backbone: `keras.Model`, normalised images to features.
        folder: path of what `export` wrote.
        images: float32 array (N, H, W, 3) in [0, 1].

    Returns:
        float, the largest absolute difference between the backbone's features and
        those of `hub.load` in a fresh process without bt_keras.
    """
    ours = backbone(ops.normalize(255.0 * images), training=False)
    with tempfile.TemporaryDirectory() as scratch:
        inputs, outputs = Path(scratch, "images.npy"), Path(scratch, "features.npy")
        np.save(inputs, images)
        command = [
            sys.executable,
            str(_RELOADER),
            str(folder),
            str(inputs),
            str(outputs),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UsageError(
                f"{folder} does not load through TensorFlow Hub: "
                f"{(done.stderr.strip().splitlines() or ['it was killed'])[-1]}"
            )
        theirs = np.load(outputs)
    return float(np.max(np.abs(tf.cast(ours, tf.float32) - theirs)))
