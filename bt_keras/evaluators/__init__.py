from bt_keras.evaluators.features import Features, FrozenBackbone
from bt_keras.evaluators.finetune import FineTuned, FineTuning
from bt_keras.evaluators.knn import KNN
from bt_keras.evaluators.linear import CachedLinearProbe, LinearProbe

__all__ = [
    "KNN",
    "CachedLinearProbe",
    "Features",
    "FineTuned",
    "FineTuning",
    "FrozenBackbone",
    "LinearProbe",
]
