"""An embedding of 65,536 dimensions, four times the widest of the paper.

bt-keras pretrain --config configs/wide.py --workdir runs/wide

The Gram form of the loss holds the embeddings and N x N; a cross-correlation matrix
would take 16 GiB. Hidden layers stay narrow: their weights, not the loss, would be
what no longer fits.
"""

from bt_keras.config import load


def get_config():
    config = load("demo")
    config.projector = (2048, 2048, 65_536)
    config.batch_size = 256
    return config
