"""torchvision's operations on images of Pillow, with given parameters."""

import numpy as np
from PIL import Image, ImageEnhance

_ENHANCERS = {
    0: ("brightness", ImageEnhance.Brightness),
    1: ("contrast", ImageEnhance.Contrast),
    2: ("saturation", ImageEnhance.Color),
}


def color_jitter(image, jitter):
    """Applies ColorJitter to an RGB image, or what concerns gray images to one of them.

    Args:
        image: `PIL.Image.Image`.
        jitter: Dict of one image's parameters, see `sampling.color_jitter`.
    """
    for operation in jitter["order"] if jitter["apply"] else ():
        if operation > 1 and image.mode != "RGB":
            continue
        if operation == 3:
            image = _shift_hue(image, float(jitter["hue"]))
            continue
        name, enhancer = _ENHANCERS[operation]
        image = enhancer(image).enhance(float(jitter[name]))
    return image


def _shift_hue(image, shift):
    hue, saturation, value = image.convert("HSV").split()
    levels = np.array(hue)
    levels += np.int32(shift * 255).astype(np.uint8)
    channels = (Image.fromarray(levels), saturation, value)
    return Image.merge("HSV", channels).convert("RGB")
