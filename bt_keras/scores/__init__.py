"""Scores of features and embeddings that need no labels, in plain NumPy."""

from bt_keras.scores.cluster_learnability import Clid, clid
from bt_keras.scores.discriminant_rank import lidar
from bt_keras.scores.floor import loss_floor
from bt_keras.scores.rankme import effective_rank
from bt_keras.scores.spectral_decay import alpha_req

__all__ = ["Clid", "alpha_req", "clid", "effective_rank", "lidar", "loss_floor"]
