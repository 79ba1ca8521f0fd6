"""Studies as data: variants of a recipe, and what the paper reports for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from bt_keras.config.ranges import OPEN

# A value of a config's field, or a function that computes it from the scale's config.
Value = Any | Callable[[ConfigDict], Any]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A variant of a recipe.

    Args:
        name: String, a part of the names of its runs.
        fields: Dict from dotted fields of a config to their values, or to functions
            from the unchanged `ConfigDict` to the values. Defaults to `{}`.
        paper: Float, the top-1 accuracy in percent that the study's source reports, or
            `None` if it has no number. Defaults to `None`.
        against: String, the name of the variant to compare with. Defaults to `""`, the
            study's baseline.
        applies: Function from the unchanged `ConfigDict` to a boolean: whether the
            variant differs from the others there. Defaults to a function that
            returns `True`.
    """

    name: str
    fields: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    paper: float | None = None
    against: str = ""
    applies: Callable[[ConfigDict], bool] = lambda config: True

    def apply(self, config: ConfigDict) -> None:
        """Sets the fields of this variant.

        Args:
            config: `ConfigDict` with the fields of configs/default.py, which is
                changed.

        Example:

        >>> from bt_keras.studies.study import Variant
        >>> config = bt_keras.config.load("demo")
        >>> Variant("no_flip", {"views.a.flip": 0.0, "lambd": 0.25}).apply(config)
        >>> config.views.a.flip, config.lambd
        (0.0, 0.25)
        """
        values = {
            field: value(config) if callable(value) else value
            for field, value in self.fields.items()
        }
        for field, value in values.items():
            *sections, name = field.split(".")
            section = config
            for each in sections:
                section = section[each]
            if f"{'.'.join(sections)}." in OPEN:  # They list no fields, or not all.
                with section.unlocked():
                    section[name] = value
            else:
                section[name] = value


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants of one recipe.

    Args:
        name: String, what the command calls it.
        title: String, one line.
        source: String, one line: where the paper's figures are from.
        baseline: String, the name of the variant that others are compared with.
        variants: Tuple of `Variant`s.

    Raises:
        ValueError: If two variants have the same name, or one is compared with a
            variant that does not exist.
    """

    name: str
    title: str
    source: str
    baseline: str
    variants: tuple[Variant, ...]

    def __post_init__(self):
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"study {self.name}: two variants have the same name")
        known = {self.baseline, *(v.against for v in self.variants)} - {""}
        if unknown := known - set(names):
            raise ValueError(f"study {self.name} has no variants {sorted(unknown)}")

    def variant(self, name: str) -> Variant:
        """Returns the variant of a name."""
        return next(variant for variant in self.variants if variant.name == name)

    def reference(self, variant: Variant) -> Variant:
        """Returns the variant that another one is compared with."""
        return self.variant(variant.against or self.baseline)
