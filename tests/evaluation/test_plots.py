import numpy as np
import pytest
import tensorflow as tf

from bt_keras.evaluation import plots
from bt_keras.evaluation.results import Result
from tests.evaluation.fine_tuned import fine_tuned


def test_the_plot_shows_both_curves(tmp_path):
    path = tmp_path / "labels.png"
    plots.label_shares(fine_tuned(), path)
    pixels = tf.io.decode_png(path.read_bytes(), 3).numpy().reshape(-1, 3)
    # Matplotlib's first two colors, one for each backbone.
    for color in ([31, 119, 180], [255, 127, 14]):
        assert np.sum(np.all(pixels == color, axis=1)) > 50


def test_other_results_are_not_drawn(tmp_path):
    knn = Result("knn", "top1", 0.5, 2000, {"k": 200})
    paths = tmp_path / "both.png", tmp_path / "alone.png"
    for results, path in zip(([*fine_tuned(), knn], fine_tuned()), paths, strict=True):
        plots.label_shares(results, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(ValueError, match="no results of semi or finetune"):
        plots.label_shares([knn], tmp_path / "none.png")


@pytest.mark.parametrize("name", ["labels", "labels.svg"])
def test_other_file_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png"):
        plots.label_shares(fine_tuned(), tmp_path / name)
