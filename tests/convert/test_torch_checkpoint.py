import numpy as np
import pytest

import bt_keras
from bt_keras.convert import torch_checkpoint

WEIGHT = np.ones(3, np.float32)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_checkpoints_are_split(key):
    weights = {"module.bn.weight": WEIGHT, "module.bn.num_batches_tracked": 7}
    source = {"epoch": 3, key: weights, "optimizer": {"state": {}}}
    state, optimizer = torch_checkpoint.split(source)
    assert list(state) == ["bn.weight"]
    np.testing.assert_array_equal(state["bn.weight"], WEIGHT)
    assert optimizer == {"state": {}}


def test_state_dicts_have_no_optimizer():
    state, optimizer = torch_checkpoint.split({"bn.weight": WEIGHT})
    assert list(state) == ["bn.weight"]
    assert optimizer is None


def test_names_with_and_without_prefix():
    with pytest.raises(bt_keras.UsageError, match=r"'bn\.weight' occurs twice"):
        torch_checkpoint.split({"bn.weight": WEIGHT, "module.bn.weight": WEIGHT})
