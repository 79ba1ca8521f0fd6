from bt_keras.evaluators.features import Features, FrozenBackbone
from bt_keras.evaluators.knn import KNN
from bt_keras.evaluators.linear import CachedLinearProbe, LinearProbe

__all__ = ["KNN", "CachedLinearProbe", "Features", "FrozenBackbone", "LinearProbe"]
