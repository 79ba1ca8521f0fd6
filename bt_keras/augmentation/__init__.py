"""The two random views of an image: pure operations, recipes, keras-cv layers.

The layers are in `bt_keras.augmentation.layers`, apart, since importing keras-cv is
slow.
"""

from bt_keras.augmentation.views import RECIPES, ViewRecipe, Views, views

__all__ = ["RECIPES", "ViewRecipe", "Views", "views"]
