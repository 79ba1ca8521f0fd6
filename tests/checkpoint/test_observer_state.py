import keras
import numpy as np
import pytest

import bt_keras
from bt_keras import UsageError
from bt_keras.checkpoint import save_restore, store
from bt_keras.checkpoint.progress import Progress
from tests.models import pairs, tiny
from tests.observers import Mean

PROGRESS = Progress(2, step=2)


def trained(*observers):
    keras.utils.set_random_seed(1)
    model = tiny()
    model.compile(bt_keras.LARS(0.5))
    for observer in observers:
        model.observe(observer)
    model.fit(pairs(2), shuffle=False, verbose=0)
    return model


class Larger(Mean):
    """Has the name of another observer, but other variables."""

    def build(self, model):
        super().build(model)
        self.variables = [keras.Variable(np.zeros(3))]


def test_the_state_is_restored(tmp_path, caplog):
    first, second = Mean("first"), Mean("second")
    model = trained(first, second)
    second.count.assign(7.0)
    path = save_restore.write(model, tmp_path, PROGRESS)
    assert store.read(path) == PROGRESS
    # In another order, and with other values.
    others = Mean("second"), Mean("first")
    save_restore.restore(path, trained(*others))
    assert [float(each.count.numpy()) for each in others] == [7, 2]
    assert not caplog.text


def test_observers_that_the_checkpoint_lacks_start_anew(tmp_path, caplog):
    path = save_restore.write(trained(Mean("old")), tmp_path, PROGRESS)
    old, *new = (Mean(name) for name in ("old", "new", "newer"))
    model = tiny()
    model.compile(bt_keras.LARS(0.5))
    for observer in (old, *new):
        model.observe(observer)
    save_restore.restore(path, model)
    assert [float(each.count.numpy()) for each in (old, *new)] == [2, 0, 0]
    [record] = caplog.records
    assert "no state of 'new', 'newer', which starts anew" in record.getMessage()


def test_a_checkpoint_loads_without_its_observers(tmp_path):
    model = trained(Mean())
    path = save_restore.write(model, tmp_path, PROGRESS)
    plain = tiny()
    plain.compile(bt_keras.LARS(0.5))
    save_restore.restore(path, plain)
    for loaded in (plain, save_restore.load(path), keras.models.load_model(path)):
        for ours, theirs in zip(loaded.variables, model.variables, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert store.variables(path) == [[v.name, list(v.shape)] for v in model.variables]


def test_other_variables_are_one_line(tmp_path):
    path = save_restore.write(trained(Mean()), tmp_path, PROGRESS)
    with pytest.raises(UsageError, match="has another 'mean': its variables"):
        save_restore.restore(path, trained(Larger()))


def test_a_change_of_the_state_is_damage(tmp_path):
    path = save_restore.write(trained(Mean()), tmp_path, PROGRESS)
    content = path.read_bytes()
    value = np.float32(2).tobytes()
    start = content.index(b"observers/mean/0.npy")
    at = content.index(value, start)
    path.write_bytes(content[:at] + np.float32(3).tobytes() + content[at + 4 :])
    with pytest.raises(store.DamagedError):
        store.read(path)
