from bt_keras.evaluation.finetune import FineTuned, FineTuning
from bt_keras.evaluation.frozen_features import Features, FrozenBackbone
from bt_keras.evaluation.knn import KNN
from bt_keras.evaluation.linear_probe import CachedLinearProbe, LinearProbe

__all__ = [
    "KNN",
    "CachedLinearProbe",
    "Features",
    "FineTuned",
    "FineTuning",
    "FrozenBackbone",
    "LinearProbe",
]
