"""Small images pasted on canvases, with their boxes: detection without a download."""

import numpy as np
from PIL import Image

# Pixels of an object as dark as this let the canvas through.
_DARK = 16
# The part of an object that another may cover.
_OVERLAP = 0.1
_TRIES = 20


def make(images, labels, count, size, seed, objects=(1, 5), sides=(20, 56)):
    """Pastes objects on canvases of a noisy grey gradient.

    Args:
        images: uint8 array (N, h, w, 3), objects on black.
        labels: integer array (N,), their classes.
        count: int, how many canvases.
        size: int, their sides in pixels.
        seed: int. The canvases depend on nothing else.
        objects: (int, int), the fewest and the most objects of a canvas. Those that
            find no free place are left out, but never the first.
        sides: (int, int), the smallest and the largest side of a pasted image.

    Returns:
        (canvases uint8 (count, size, size, 3), boxes float32 (count, most objects, 4),
        classes float32 (count, most objects)). Boxes are xyxy in pixels, tight around
        what can be seen of the object's shape; both are -1 where there is no object.
    """
    rng = np.random.default_rng(seed)
    canvases = np.empty((count, size, size, 3), np.uint8)
    boxes = np.full((count, objects[1], 4), -1, np.float32)
    classes = np.full((count, objects[1]), -1, np.float32)
    for canvas, its_boxes, its_classes in zip(canvases, boxes, classes, strict=True):
        canvas[:] = _background(rng, size)
        wanted = rng.integers(objects[0], objects[1] + 1)
        places = _places(rng, wanted, size, sides)
        chosen = rng.integers(len(images), size=len(places))
        for number, (place, index) in enumerate(zip(places, chosen, strict=True)):
            its_boxes[number] = paste(canvas, images[index], *place)
            its_classes[number] = labels[index]
    return canvases, boxes, classes


def paste(canvas, image, left, top, side):
    """Draws an image on a canvas, except its dark pixels.

    Args:
        canvas: uint8 array (H, W, 3), changed in place.
        image: uint8 array (h, w, 3).
        left, top: ints, where.
        side: int, the image is resized to a square of this side.

    Returns:
        (x1, y1, x2, y2), the box around the pixels that were drawn.
    """
    image = np.asarray(Image.fromarray(image).resize((side, side), Image.BILINEAR))
    shape = image.max(axis=-1) > _DARK
    target = canvas[top : top + side, left : left + side]
    target[shape] = image[shape]
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    if not len(rows):  # All black: the whole square is the object.
        rows = columns = np.array([0, side - 1])
    return (
        left + columns[0],
        top + rows[0],
        left + columns[-1] + 1,
        top + rows[-1] + 1,
    )


def _background(rng, size):
    """Grey (size, size, 1): a gradient in a random direction, blotches and noise."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-0.5, 0.5, size)
    gradient = np.cos(angle) * ramp[:, None] + np.sin(angle) * ramp
    coarse = rng.normal(size=(8, 8)).astype(np.float32)
    blotches = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    noise = rng.normal(size=(size, size))
    grey = rng.uniform(40, 160) + rng.uniform(0, 100) * gradient
    grey = grey + rng.uniform(5, 30) * np.asarray(blotches) + 8 * noise
    return np.clip(grey, 0, 255)[..., None].astype(np.uint8)


def _places(rng, wanted, size, sides):
    """Squares `(left, top, side)` in the canvas that hardly overlap."""
    places = []
    for _ in range(wanted):
        for _ in range(_TRIES):
            side = int(rng.integers(sides[0], sides[1] + 1))
            left, top = (int(x) for x in rng.integers(size - side + 1, size=2))
            place = (left, top, side)
            if all(_overlap(place, other) <= _OVERLAP for other in places):
                places.append(place)
                break
    return places


def _overlap(one, other):
    """The area that two squares share, as a part of the smaller one's."""
    width, height = (
        min(one[i] + one[2], other[i] + other[2]) - max(one[i], other[i])
        for i in (0, 1)
    )
    return max(0, width) * max(0, height) / min(one[2], other[2]) ** 2
