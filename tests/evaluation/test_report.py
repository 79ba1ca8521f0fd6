"""Tables and plots of results, from rows as `evaluate` writes them."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.evaluation import plots, report

SCORES = {
    ("pretrained", "6", "1%, images=100"): (0.70, 0.72, 0.77),
    ("scratch", "0", "1%, images=100"): (0.60, 0.61, 0.62),
    ("pretrained", "6", "100%, images=10000"): (0.85,),
    ("scratch", "0", "100%, images=10000"): (0.84,),
}


def rows(scores=SCORES):
    return [
        {
            "backbone": backbone,
            "epoch": epoch,
            "evaluator": "finetune",
            "source": "shipped",
            "settings": f"labels={labels}, seed={seed}, 300 steps",
            "metric": metric,
            "value": value if metric == "top1" else 0.99,
            "test_images": 2000,
        }
        # The larger share first: tables and curves go up.
        for (backbone, epoch, labels), values in reversed(scores.items())
        for seed, value in enumerate(values)
        for metric in ("top1", "top5")
    ]


def test_fine_tuning_is_one_line_a_share_and_backbone():
    header, _, *lines = report.results_table(rows()).splitlines()
    assert header.split()[:4] == ["labels", "labelled", "images", "backbone"]
    cells = [line.split("  ") for line in lines]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in cells]
    rest = ["300 steps", "shipped", "2000"]
    several, one = "99.00 ± 0.00", "99.00"
    deviation = np.std([70, 72, 77], ddof=1)
    spread = f"73.00 ± {deviation:.2f}"
    assert cells == [
        ["1%", "100", "pretrained", "6", spread, several, "3", *rest],
        ["1%", "100", "scratch", "0", "61.00 ± 1.00", several, "3", *rest],
        ["100%", "10000", "pretrained", "6", "85.00", one, "1", *rest],
        ["100%", "10000", "scratch", "0", "84.00", one, "1", *rest],
    ]


def test_of_two_results_of_a_seed_the_later_one_counts():
    """As read from results.csv, where all but the value is text."""
    key = ("scratch", "0", "1%, images=100")
    again = [{**row, "test_images": "2000"} for row in rows({key: (0.9, 0.9, 0.9)})]
    assert "90.00 ± 0.00" in report.results_table(rows() + again)
    assert "61.00" not in report.results_table(rows() + again)


def test_other_results_stand_in_a_table_of_their_own():
    knn = {**rows()[0], "evaluator": "knn", "settings": "k=200", "value": 0.5}
    first, second = report.results_table([*rows(), knn]).split("\n\n")
    assert "knn (k=200)" in first
    assert "50.00" in first
    assert "±" not in first
    assert "±" in second


def test_the_plot_is_a_picture_with_both_curves(tmp_path):
    path = tmp_path / "labels.png"
    plots.label_shares(rows(), path)
    pixels = tf.io.decode_png(path.read_bytes(), 3).numpy().reshape(-1, 3)
    # Matplotlib's first two colours: one for each backbone.
    for colour in ([31, 119, 180], [255, 127, 14]):
        assert np.sum(np.all(pixels == colour, axis=1)) > 50


@pytest.mark.parametrize("name", ["labels", "labels.svg"])
def test_a_plot_is_a_png_file(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png"):
        plots.label_shares(rows(), tmp_path / name)
