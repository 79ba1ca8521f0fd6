import math

import pytest

from bt_keras import UsageError
from bt_keras.studies import plot
from bt_keras.studies.summary import summarize
from tests.studies.test_summary import STUDY, outcomes

RUNS = outcomes(
    base=[0.80, 0.82, 0.81],
    worse=[0.60, 0.62, 0.61],
    plotted=[0.9],
    never=[None],
)


def test_differences_from_the_baseline():
    rows = [row for row in summarize(STUDY, RUNS) if row.variant != row.reference]
    points = plot.differences(rows)
    assert points[plot.PAPER] == [(0, -10.0, 0.0)]
    (first, *linear), (second, *single) = points["linear"]
    assert (first, second) == (0, 1)
    assert linear == pytest.approx([-20.0, math.sqrt(2 / 3)])
    assert single == pytest.approx([9.0, 0.0])
    assert [index for index, *_ in points["kNN"]] == [0, 1]


@pytest.mark.parametrize("runs", [RUNS, outcomes(base=[None], worse=[None])])
def test_the_file_is_written(runs, tmp_path):
    path = tmp_path / "plot.png"
    for _ in range(2):  # The second replaces the first.
        plot.plot_study(STUDY, runs, "tiny runs", path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "plot.png").mkdir()
    with pytest.raises(UsageError, match=r"plot\.png"):
        plot.plot_study(STUDY, RUNS, "", tmp_path / "plot.png")
