"""The memory of a long run."""

import numpy as np
import pytest

from bt_keras import config as config_lib
from bt_keras.training.epoch_log import EpochLog
from bt_keras.training.pretrain import pretrain
from tests import memory, tiny


@pytest.mark.slow
# pytest would keep 36 of Keras's warnings of each epoch, 30 KiB.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_many_epochs_take_no_memory(tmp_path, monkeypatch):
    """Keras keeps 70 KiB of each checkpoint, see `save_restore.write`."""
    images = tiny.write_images(tmp_path / "images")
    config = config_lib.load(tiny.write_config(tmp_path / "tiny.py", images))
    config.epochs = 140
    measured = []

    class Measured(EpochLog):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch + 1 >= 40 and (epoch + 1) % 20 == 0:
                measured.append(memory.resident_kb())

    monkeypatch.setattr("bt_keras.training.run.EpochLog", Measured)
    pretrain(config, tmp_path / "run")
    growth = np.diff(measured)
    assert len(growth) == 5
    # The median: TensorFlow's threads allocate a few MB once, at any time.
    assert np.median(growth) < 400
