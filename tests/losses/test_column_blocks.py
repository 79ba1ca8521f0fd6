"""The loss of wide embeddings, computed in blocks of columns."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.losses import correlation, gram
from bt_keras.losses.column_blocks import MAX_BLOCKS, column_blocks
from tests.conftest import relative_error
from tests.losses.compute import NAMES, on_replicas, terms_and_gradients

LAMBD = 0.0051


@pytest.fixture(params=[gram, correlation], ids=["gram", "correlation"])
def narrow_blocks(request, monkeypatch):
    """Makes the blocks of an implementation narrow; returns its name."""
    monkeypatch.setattr(request.param, "BLOCK_BYTES", 4 * 16 * 10)
    return request.param.__name__.rpartition(".")[2]


@pytest.mark.parametrize("compiled", [False, True])
def test_blocks_equal_pytorch(recorded, narrow_blocks, compiled):
    reference = recorded("loss")
    z_a, z_b = (tf.constant(reference[f"16x64/{z}"]) for z in ("z_a", "z_b"))
    step = tf.function(terms_and_gradients, jit_compile=compiled)
    result = step(z_a, z_b, LAMBD, narrow_blocks)
    for name, value in zip(NAMES, result, strict=True):
        assert relative_error(value, reference[f"16x64/{LAMBD}/{name}"]) < 1e-5, name


def test_blocks_on_four_replicas_equal_pytorch(recorded, replicas, narrow_blocks):
    reference = recorded("loss")
    z_a, z_b = reference["16x64/z_a"], reference["16x64/z_b"]
    results = on_replicas(replicas(4), z_a, z_b, LAMBD, narrow_blocks)
    for name, values in results.items():
        value = np.concatenate(values) if name.startswith("grad") else values[3]
        assert relative_error(value, reference[f"16x64/{LAMBD}/{name}"]) < 1e-5, name


def test_gram_matrix_in_strips_equals_pytorch(recorded, monkeypatch):
    """Four strips of 24 rows, each starting at its own diagonal."""
    monkeypatch.setattr(gram, "MIN_STRIP_ROWS", 24)
    reference = recorded("loss")
    z_a, z_b = reference["96x24/z_a"], reference["96x24/z_b"]
    result = tf.function(terms_and_gradients)(z_a, z_b, LAMBD, "gram")
    for name, value in zip(NAMES, result, strict=True):
        assert relative_error(value, reference[f"96x24/{LAMBD}/{name}"]) < 1e-5, name


def test_blocks_of_a_batch_of_unknown_size_equal_pytorch(recorded, narrow_blocks):
    reference = recorded("loss")
    z_a, z_b = (tf.constant(reference[f"16x64/{z}"]) for z in ("z_a", "z_b"))

    @tf.function(input_signature=[tf.TensorSpec((None, 64))] * 2)
    def step(a, b):
        return terms_and_gradients(a, b, LAMBD, narrow_blocks)

    for name, value in zip(NAMES, step(z_a, z_b), strict=True):
        assert relative_error(value, reference[f"16x64/{LAMBD}/{name}"]) < 1e-5, name


@pytest.mark.parametrize("rows", [16, 2048, None])
@pytest.mark.parametrize("width", [1, 100, 8192, 262_144])
def test_blocks_cover_all_columns_once(rows, width):
    blocks = column_blocks(rows, width, block_bytes=2**21)
    starts, stops = zip(*blocks, strict=True)
    assert (starts[0], stops[-1]) == (0, width)
    assert starts[1:] == stops[:-1]
    assert len(blocks) <= MAX_BLOCKS


@pytest.mark.parametrize("implementation", ["gram", "correlation"])
def test_blocks_of_a_gpu_equal_pytorch(recorded, gpu_paths, implementation):
    assert column_blocks(1024, 8192, gram.BLOCK_BYTES) == [(0, 8192)]
    reference = recorded("loss")
    z_a, z_b = (tf.constant(reference[f"16x64/{z}"]) for z in ("z_a", "z_b"))
    result = terms_and_gradients(z_a, z_b, LAMBD, implementation)
    for name, value in zip(NAMES, result, strict=True):
        assert relative_error(value, reference[f"16x64/{LAMBD}/{name}"]) < 1e-5, name
