"""Synthetic detection data: small images pasted on canvases, with their boxes."""

import numpy as np
from PIL import Image

# Pixels of an object up to this level are transparent.
_MAX_TRANSPARENT = 16
# The fraction of an object that another one may cover.
_MAX_OVERLAP = 0.1
_TRIES = 20


def make(images, labels, count, size, seed, objects=(1, 5), sides=(20, 56)):
    """Pastes objects on canvases with a noisy gray gradient.

    Args:
        images: uint8 array (N, h, w, 3), objects on black.
        labels: Integer array (N,), their classes.
        count: Integer, number of canvases.
        size: Integer, side of a canvas in pixels.
        seed: Integer or tuple of ints, which determines the canvases.
        objects: (int, int), the minimum and maximum number of objects per canvas. An
            object without a free position is omitted, except for the first one.
            Defaults to `(1, 5)`.
        sides: (int, int), the minimum and maximum side of a pasted image. Defaults to
            `(20, 56)`.

    Returns:
        `(canvases, boxes, classes)`: uint8 (count, size, size, 3), float32 (count, M,
        4) and float32 (count, M), M being the maximum number of objects. Boxes are
        xyxy in pixels, tight around the object's shape. Boxes and classes are -1 where
        there is no object.
    """
    rng = np.random.default_rng(seed)
    canvases = np.empty((count, size, size, 3), np.uint8)
    boxes = np.full((count, objects[1], 4), -1, np.float32)
    classes = np.full((count, objects[1]), -1, np.float32)
    for canvas, its_boxes, its_classes in zip(canvases, boxes, classes, strict=True):
        canvas[:] = _background(rng, size)
        number = rng.integers(objects[0], objects[1] + 1)
        squares = _sample_squares(rng, number, size, sides)
        chosen = rng.integers(len(images), size=len(squares))
        for row, (square, index) in enumerate(zip(squares, chosen, strict=True)):
            its_boxes[row] = paste(canvas, images[index], *square)
            its_classes[row] = labels[index]
    return canvases, boxes, classes


def paste(canvas, image, left, top, side):
    """Draws an image on a canvas, except its dark pixels.

    Args:
        canvas: uint8 array (H, W, 3), changed in place.
        image: uint8 array (h, w, 3).
        left, top: Ints, the position of its upper left corner.
        side: Integer, side of the square to which the image is resized.

    Returns:
        (x1, y1, x2, y2), the box around the drawn pixels.
    """
    image = np.asarray(Image.fromarray(image).resize((side, side), Image.BILINEAR))
    shape = image.max(axis=-1) > _MAX_TRANSPARENT
    target = canvas[top : top + side, left : left + side]
    target[shape] = image[shape]
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    if not len(rows):  # All black: the box is the whole square.
        rows = columns = np.array([0, side - 1])
    return (
        left + columns[0],
        top + rows[0],
        left + columns[-1] + 1,
        top + rows[-1] + 1,
    )


def _background(rng, size):
    """Returns gray (size, size, 1): a gradient, low-frequency and white noise."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-0.5, 0.5, size)
    gradient = np.cos(angle) * ramp[:, None] + np.sin(angle) * ramp
    coarse = rng.normal(size=(8, 8)).astype(np.float32)
    blotches = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    noise = rng.normal(size=(size, size))
    gray = rng.uniform(40, 160) + rng.uniform(0, 100) * gradient
    gray = gray + rng.uniform(5, 30) * np.asarray(blotches) + 8 * noise
    return np.clip(gray, 0, 255)[..., None].astype(np.uint8)


def _sample_squares(rng, number, size, sides):
    """Returns squares `(left, top, side)` in the canvas that hardly overlap."""
    squares = []
    for _ in range(number):
        for _ in range(_TRIES):
            side = int(rng.integers(sides[0], sides[1] + 1))
            left, top = (int(x) for x in rng.integers(size - side + 1, size=2))
            square = (left, top, side)
            if all(_overlap(square, other) <= _MAX_OVERLAP for other in squares):
                squares.append(square)
                break
    return squares


def _overlap(one, other):
    """Returns the common area of two squares over the area of the smaller one."""
    width, height = (
        min(one[i] + one[2], other[i] + other[2]) - max(one[i], other[i])
        for i in (0, 1)
    )
    return max(0, width) * max(0, height) / min(one[2], other[2]) ** 2
