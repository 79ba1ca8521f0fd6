import numpy as np
import pytest
import tensorflow as tf

from bt_keras.evaluation import plots
from tests.evaluation.fine_tuned import fine_tuned


def test_the_plot_shows_both_curves(tmp_path):
    path = tmp_path / "labels.png"
    plots.label_shares(fine_tuned(), path)
    pixels = tf.io.decode_png(path.read_bytes(), 3).numpy().reshape(-1, 3)
    # Matplotlib's first two colors, one for each backbone.
    for color in ([31, 119, 180], [255, 127, 14]):
        assert np.sum(np.all(pixels == color, axis=1)) > 50


@pytest.mark.parametrize("name", ["labels", "labels.svg"])
def test_other_file_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png"):
        plots.label_shares(fine_tuned(), tmp_path / name)
