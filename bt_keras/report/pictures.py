"""Small images as data URIs, and parts of a page that consist of images."""

from __future__ import annotations

import base64
import functools
import io
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image, ImageOps

from bt_keras.report.contents import Contents

# Pixels. Above, JPEG is smaller than PNG.
_LARGEST_PNG = 32


class Pictures(str):
    """HTML that notebooks display, and that templates do not escape."""

    def __html__(self) -> str:
        return str(self)

    _repr_html_ = __html__

    def __repr__(self) -> str:
        # Notebooks store it beside the HTML.
        return f"Pictures({len(self)} characters)"


def data_uri(image: np.ndarray, side: int) -> str:
    """Encodes an image for a page.

    Args:
        image: uint8 array (H, W, C). Of more than three bands, the first three are
            shown as red, green and blue; of two bands, the first.
        side: Integer > 0. A larger image is scaled and cropped to this many pixels.

    Returns:
        String, a data URI.

    Example:

    >>> from bt_keras.report.pictures import data_uri
    >>> data_uri(np.zeros((8, 8, 3), "uint8"), side=32)[:22]
    'data:image/png;base64,'
    """
    bands = image[..., : 3 if image.shape[-1] > 2 else 1]
    if (bands == bands[..., :1]).all():
        bands = bands[..., 0]  # Gray images are smaller with one band.
    picture = Image.fromarray(np.ascontiguousarray(bands))
    side = min(side, *picture.size)
    picture = ImageOps.fit(picture, (side, side))
    file = io.BytesIO()
    kind = "png" if side <= _LARGEST_PNG else "jpeg"
    picture.save(file, kind, optimize=True)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{encoded}"


def view_pairs(contents: Contents) -> Pictures:
    """Shows the first view pairs of a run, as the network saw them.

    Args:
        contents: `Contents`, see `bt_keras.report.read`.

    Returns:
        HTML that notebooks display.

    Raises:
        UsageError: If the run has no picture of them.
    """
    return _fragment("view_pairs", contents.require("views"))


def neighbors(contents: Contents) -> Pictures:
    """Shows test images and the training images with the most similar features.

    Args:
        contents: `Contents`, see `bt_keras.report.read`.

    Returns:
        HTML that notebooks display.

    Raises:
        UsageError: If the features are missing.
    """
    return _fragment("neighbors", contents.require("neighbors"))


@functools.cache
def environment() -> jinja2.Environment:
    """Returns the environment of the templates in this folder."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )


def _fragment(name, value):
    module = environment().get_template("pictures.html.jinja").module
    return Pictures(getattr(module, name)(value))
