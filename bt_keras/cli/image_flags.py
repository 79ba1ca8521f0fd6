"""The flags that say which images a command reads, and how."""

from __future__ import annotations

from absl import flags as absl_flags
from ml_collections import ConfigDict


def define(values: absl_flags.FlagValues, purpose: str, origin: str = "run") -> None:
    """Adds `--source`, `--layout` and `--bits` to a command's flags.

    Args:
        values: The command's flags.
        purpose: String, such as `"Labeled images to evaluate on"`.
        origin: String, whose settings are the defaults. Defaults to `"run"`.
    """
    absl_flags.DEFINE_string(
        "source",
        None,
        f"{purpose}: a folder, tfds:NAME or shipped. Defaults to the images of the "
        f"{origin}.",
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        "layout",
        None,
        ["auto", "classes", "splits"],
        "What the subfolders of a folder of images are; auto decides by their names. "
        f"Defaults to auto with --source, otherwise to the {origin}'s config.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "bits",
        None,
        "Significant bits of images with more than 8 bits, 8 to 16. Defaults to the "
        f"{origin}'s config.",
        8,
        16,
        flag_values=values,
    )


def define_splits(
    values: absl_flags.FlagValues, train: str, test: str, origin: str = "run"
) -> None:
    """Adds `--train_split` and `--test_split` to a command's flags.

    Args:
        values: The command's flags.
        train: String, what the first is of, such as `"labeled images to train on"`.
        test: String, what the second is of.
        origin: String, as for `define`. Defaults to `"run"`.
    """
    for name, purpose in (("train_split", train), ("test_split", test)):
        absl_flags.DEFINE_string(
            name,
            None,
            f"Split of the {purpose}. Defaults to that in the {origin}'s config.",
            flag_values=values,
        )


def apply(values: absl_flags.FlagValues, config: ConfigDict) -> None:
    """Changes how a config reads images, by the flags of `define`."""
    images = config.data  # Other images are not arranged like the run's.
    images.layout = values.layout or ("auto" if values.source else images.layout)
    images.bits = values.bits or images.bits
