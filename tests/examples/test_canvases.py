import numpy as np
import pytest

from examples.detection import canvases


def stamps():
    """Objects of ten classes: white shapes of different forms on black."""
    images = np.zeros((10, 28, 28, 3), np.uint8)
    for label, image in enumerate(images):
        # Wider or narrower, from another corner, in another gray.
        image[2 + label : 20 + label // 2, 1 : 10 + label] = 100 + 15 * label
    return images, np.arange(10)


def bounds(shape):
    rows, columns = np.nonzero(shape)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("side", [28, 20, 56])
def test_the_box_contains_the_changed_pixels(side):
    for image in stamps()[0]:
        before = np.zeros((96, 96, 3), np.uint8)
        after = before.copy()
        box = canvases.paste(after, image, left=13, top=7, side=side)
        assert box == bounds((after != before).any(axis=-1))
        # It has the aspect ratio of the object.
        own = np.array(bounds(image.any(axis=-1))) * side / 28 + [13, 7, 13, 7]
        np.testing.assert_allclose(box, own, atol=1.5)


def test_dark_pixels_are_transparent():
    canvas = np.full((40, 40, 3), 77, np.uint8)
    image = stamps()[0][3]
    canvases.paste(canvas, image, 5, 6, 28)
    shape = image.any(axis=-1)
    np.testing.assert_array_equal(canvas[6:34, 5:33][shape], image[shape])
    canvas[6:34, 5:33][shape] = 77
    assert (canvas == 77).all()


def test_a_black_image_has_the_box_of_its_square():
    canvas = np.zeros((40, 40, 3), np.uint8)
    black = np.zeros((28, 28, 3), np.uint8)
    assert canvases.paste(canvas, black, 5, 6, 20) == (5, 6, 25, 26)


def test_labels_are_those_of_the_objects(monkeypatch):
    monkeypatch.setattr(canvases, "_background", lambda rng, size: 0)
    made, boxes, classes = canvases.make(*stamps(), 40, 128, seed=3, sides=(28, 28))
    for canvas, its_boxes, its_classes in zip(made, boxes, classes, strict=True):
        grays = np.unique(canvas[canvas > 0])
        there = its_classes >= 0
        assert set(grays) == set(100 + 15 * its_classes[there])
        for (x1, y1, x2, y2), label in zip(
            its_boxes[there].astype(int), its_classes[there], strict=True
        ):
            inside = canvas[y1:y2, x1:x2]
            # Others may cover a little of it.
            assert (inside == 100 + 15 * label).mean() > 0.75


def test_canvases_are_as_described():
    made, boxes, classes = canvases.make(*stamps(), 60, 128, seed=0, objects=(1, 5))
    assert made.shape == (60, 128, 128, 3)
    assert made.dtype == np.uint8
    there = classes >= 0
    assert there[:, 0].all()
    assert set(there.sum(axis=1)) == {1, 2, 3, 4, 5}
    assert (boxes[~there] == -1).all()
    x1, y1, x2, y2 = boxes[there].T
    assert (x1 >= 0).all()
    assert (y1 >= 0).all()
    assert (x2 <= 128).all()
    assert (y2 <= 128).all()
    assert (x2 > x1).all()
    assert (y2 > y1).all()
    # The backgrounds are noisy, and no two are the same.
    assert made.std(axis=(1, 2, 3)).min() > 5
    assert len(np.unique(made[:, 0, 0, 0])) > 20


def test_squares_hardly_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        masks = []
        for left, top, side in canvases._sample_squares(rng, 5, 128, (20, 56)):
            mask = np.zeros((128, 128), bool)
            mask[top : top + side, left : left + side] = True
            assert mask.sum() == side**2
            masks.append(mask)
        for i, one in enumerate(masks):
            for other in masks[:i]:
                smaller = min(one.sum(), other.sum())
                assert (one & other).sum() <= 0.1 * smaller


def test_canvases_are_a_function_of_the_seed():
    once, again, other = (
        canvases.make(*stamps(), 5, 128, seed=seed) for seed in [(4, 0), (4, 0), (4, 1)]
    )
    for one, same in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(once[0], other[0])
