"""Recipes of the views: their fields, changes of single fields, and bad values."""

import dataclasses
import re

import pytest

from bt_keras import UsageError, ViewRecipe, views
from bt_keras.augmentation.recipes import RECIPES, resolve


def test_recipes_are_immutable():
    view = RECIPES["imagenet"][0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.blur = 0.5
    assert (view.blur, view.solarize) == (1.0, 0.0)


def test_changes_apply_to_one_view():
    first, second = RECIPES["imagenet"]
    changes = {"crop_scale": [0.2, 1.0], "threshold": 200}
    a, b = resolve("imagenet", a=changes)
    assert a == dataclasses.replace(first, crop_scale=(0.2, 1.0), threshold=200)
    assert b == second
    sky = ViewRecipe(rotate=0.75)
    assert resolve("imagenet", b=sky) == (first, sky)
    assert resolve("small", a={}, b={}) == RECIPES["small"]


def test_views_show_what_differs_from_the_recipe():
    assert repr(views(96, "small")) == "Views(size=96, recipe='small')"
    shown = repr(views(96, "small", b={"rotate": 0.75}))
    assert re.fullmatch(
        r"Views\(size=96, recipe='small', b=ViewRecipe\(.*rotate=0.75.*\)\)", shown
    )


@pytest.mark.parametrize("recipe", [None, 3, ["small"], "Small", "tiny", True])
def test_a_recipe_that_does_not_exist_is_refused(recipe):
    with pytest.raises(
        UsageError, match=r"^recipe=.* is not one of imagenet, small\.$"
    ):
        views(32, recipe)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ViewRecipe)])
def test_a_recipe_checks_its_values(field):
    low_to_high = isinstance(getattr(ViewRecipe(), field), tuple)
    for value in (float("nan"), float("inf"), -0.1, "1", None, True):
        value = (0.5, value) if low_to_high else value
        with pytest.raises(UsageError, match=rf"^{field}=[^\n]*$"):
            ViewRecipe(**{field: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"a": {"crop_scal": (0.2, 1.0)}},
            "a.crop_scal: a view has no such field; did",
        ),
        ({"b": {"hue": 0.6}}, "b.hue=0.6 must be a number in [0, 0.5]"),
        ({"a": {"crop_scale": (0.2, 1.5)}}, "a.crop_scale=(0.2, 1.5) must be (low, h"),
        ({"a": {"crop_scale": 0.2}}, "a.crop_scale=0.2 must be (low, high)"),
        (
            {"b": {"threshold": 128.0}},
            "b.threshold=128.0 must be an integer in [0, 256",
        ),
        ({"a": {3: 0.5}}, "a.3: a view has no such field; The fields are crop_scale, "),
        ({"a": "blur"}, "a='blur' must be a dict of the fields"),
    ],
)
def test_bad_changes_are_named(changes, message):
    with pytest.raises(UsageError, match=rf"^{re.escape(message)}[^\n]*$"):
        views(32, "small", **changes)


def test_near_names_are_suggested():
    with pytest.raises(UsageError, match=r"did you mean vertical_flip\?"):
        views(32, a={"vertical_flips": 0.5})
