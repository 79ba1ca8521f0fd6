"""Small images and the parts of a page that consist of them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from bt_keras.errors import UsageError
from bt_keras.report import pictures
from bt_keras.report.contents import NeighborRow, Picture
from tests.report.made_up import contents


def decoded(uri):
    kind, data = re.fullmatch("data:image/(.*);base64,(.*)", uri).groups()
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == kind.upper()
    return np.asarray(picture)


def levels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


@pytest.mark.parametrize(
    ("bands", "shown"), [(1, [0]), (2, [0]), (3, [0, 1, 2]), (5, [0, 1, 2])]
)
def test_a_small_image_keeps_its_pixels(bands, shown):
    image = levels(8, 8, bands)
    found = decoded(pictures.data_uri(image, 32)).reshape(8, 8, -1)
    np.testing.assert_array_equal(found, image[..., shown])


def test_a_gray_image_of_three_bands_has_one():
    image = levels(8, 8, 1).repeat(3, axis=-1)
    np.testing.assert_array_equal(decoded(pictures.data_uri(image, 32)), image[..., 0])


@pytest.mark.parametrize("shape", [(100, 200, 3), (200, 100, 3)])
def test_a_large_image_is_scaled_and_cropped(shape):
    image = np.zeros(shape, "uint8")
    image[20:-20, 20:-20] = 200
    found = decoded(pictures.data_uri(image, 64))
    assert found.shape[:2] == (64, 64)
    assert abs(int(found[32, 32].max()) - 200) < 4


def test_view_pairs_show_both_views_of_every_pair():
    run = contents()
    text = pictures.view_pairs(run)._repr_html_()
    assert len(repr(pictures.view_pairs(run))) < 40
    found = re.findall('src="([^"]+)"', text)
    assert found == [picture.uri for pair in run.views for picture in pair]


def test_neighbors_are_marked_right_or_wrong():
    cat, dog = Picture("data:,a", "cat"), Picture("data:,b", "dog")
    row = NeighborRow(cat, (cat, dog), (0.9, 0.8))
    text = pictures.neighbors(contents(neighbors=(row,)))
    assert text.count("✓") == 1
    assert text.count("✗ dog") == 1


def test_without_labels_neighbors_are_not_marked():
    picture = Picture("data:,a")
    row = NeighborRow(picture, (picture, picture), (0.9, 0.8))
    text = pictures.neighbors(contents(neighbors=(row,)))
    assert text.count("<img") == 3
    assert not re.search("✓|✗", text)


def test_names_of_classes_are_escaped():
    picture = Picture("data:,a", "<b>&")
    row = NeighborRow(picture, (picture,), (0.9,))
    assert "<b>" not in pictures.neighbors(contents(neighbors=(row,)))


def test_a_missing_part_is_named():
    run = contents(gaps={"views": "views.png is missing"})
    with pytest.raises(UsageError, match=r"runs/demo: .*: views.png is missing"):
        pictures.view_pairs(run)
