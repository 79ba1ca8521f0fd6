"""Colors of the cross-correlation matrix."""

import numpy as np

from bt_keras.callbacks.pictures import heat_map


def test_colors_grow_from_white_to_blue_and_red():
    numbers = np.linspace(-1, 1, 9)
    colors = heat_map(numbers[np.newaxis])[0].astype(int)
    assert colors[4].tolist() == [255, 255, 255]
    red, green, blue = colors.T
    assert (np.diff(red[:5]) > 0).all()
    assert (red[4:] == 255).all()
    assert (np.diff(blue[4:]) < 0).all()
    assert (blue[:5] == 255).all()
    np.testing.assert_allclose(green, 255 * (1 - np.abs(numbers)), atol=0.5)


def test_rounding_beyond_one_is_no_other_color():
    assert heat_map(np.array([[1.0001, -1.0001]])).tolist() == [
        [[255, 0, 0], [0, 0, 255]]
    ]
