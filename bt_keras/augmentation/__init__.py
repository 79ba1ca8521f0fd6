"""The two random views of an image: pure operations, recipes, keras-cv layers.

The layers must be imported from `bt_keras.augmentation.layers`, because importing
keras-cv is slow.
"""

from bt_keras.augmentation.crops import Crops, finish_crops
from bt_keras.augmentation.recipes import RECIPES, ViewRecipe
from bt_keras.augmentation.statistics import Statistics
from bt_keras.augmentation.views import Views, views

__all__ = [
    "RECIPES",
    "Crops",
    "Statistics",
    "ViewRecipe",
    "Views",
    "finish_crops",
    "views",
]
