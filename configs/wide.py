"""An embedding of 65,536 dimensions, four times the largest of the paper.

bt-keras pretrain --config configs/wide.py --workdir runs/wide

The Gram form of the loss stores the embeddings and N x N matrices; a cross-correlation
matrix would take 16 GiB. The hidden layers are narrow, because their weights would need
more memory than the loss.
"""

from bt_keras.config import load


def get_config():
    config = load("demo")
    config.projector = (2048, 2048, 65_536)
    config.batch_size = 256
    return config
