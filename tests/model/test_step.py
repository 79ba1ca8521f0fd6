"""What a step returns."""

import pytest
import tensorflow as tf

import bt_keras
from bt_keras import UsageError
from tests.models import pairs, tiny


def test_a_subclass_names_its_logs():
    class Other(bt_keras.BarlowTwins):
        def loss_terms(self, z_a, z_b):
            return {"loss": tf.reduce_mean(tf.square(z_a - z_b)), "distance": 1.0}

    parts = tiny()
    model = Other(parts.backbone, parts.projector)
    model.compile()
    for run in (model.fit, model.evaluate):
        with pytest.raises(UsageError, match="logs distance, loss, but its log_names"):
            run(pairs(), verbose=0)
