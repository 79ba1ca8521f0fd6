"""On constructed numbers."""

import math

import numpy as np
import pytest

from bt_keras.studies import summary
from bt_keras.studies.queue import FAILED, FINISHED, Outcome
from bt_keras.studies.study import Study, Variant
from bt_keras.studies.summary import Difference, direction

STUDY = Study(
    name="made_up",
    title="Constructed numbers",
    source="here",
    baseline="base",
    variants=(
        Variant("base", paper=70.0),
        Variant("worse", paper=60.0),
        Variant("plotted"),
        Variant("other", paper=50.0),
        Variant("of_other", paper=55.0, against="other"),
        Variant("never"),
    ),
)


def finished(linear, knn=0.5):
    values = {"linear_cached top1": linear, "knn top1": knn, "loss": 3.0}
    return Outcome(FINISHED, 1.0, values)


def outcomes(**accuracies):
    """Names runs by their seeds; `None` has not ended, a string is an error."""
    found = {}
    for variant, values in accuracies.items():
        for seed, value in enumerate(values):
            run = Outcome(FAILED, error=value) if isinstance(value, str) else None
            is_number = isinstance(value, float)
            found[f"seed{seed}-{variant}"] = finished(value) if is_number else run
    return found


def rows(**accuracies):
    found = summary.summarize(STUDY, outcomes(**accuracies))
    return {row.variant.name: row for row in found}


def test_differences_have_the_standard_error_of_two_means():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=5), rng.normal(size=3)
    expected = math.sqrt(np.var(ours, ddof=1) / 5 + np.var(theirs, ddof=1) / 3)
    found = summary.difference(ours.tolist(), theirs.tolist())
    assert found.value == pytest.approx(ours.mean() - theirs.mean())
    assert found.error == pytest.approx(expected)


def test_a_single_seed_has_no_standard_error():
    assert summary.difference([1.0], [2.0, 3.0]) == Difference(-1.5, None)
    assert summary.difference([], [2.0]) is None


@pytest.mark.parametrize(
    ("ours", "paper", "expected"),
    [
        (Difference(-3.0, 1.0), -0.1, "agrees"),
        (Difference(3.0, 1.0), -0.1, "disagrees"),
        (Difference(3.0, 1.0), 9.0, "agrees"),
        (Difference(-2.0, 1.0), -9.0, "undecided"),  # Two standard errors.
        (Difference(-2.1, 1.0), -9.0, "agrees"),
        (Difference(0.0, 0.0), -9.0, "undecided"),
        (Difference(-1e-6, 0.0), -9.0, "agrees"),
        (Difference(-30.0, None), -9.0, "undecided"),
        (Difference(-30.0, 1.0), None, "undecided"),
        (Difference(-30.0, 1.0), 0.0, "undecided"),
        (Difference(math.nan, math.nan), -9.0, "undecided"),
        (Difference(math.nan, 1.0), -9.0, "undecided"),
        (None, -9.0, "undecided"),
    ],
)
def test_directions(ours, paper, expected):
    assert direction(ours, paper) == expected


def test_means_and_directions_of_variants():
    found = rows(
        base=[0.80, 0.82, 0.81],
        worse=[0.60, 0.62, 0.61],
        plotted=[0.90, 0.92, 0.91],
    )
    assert list(found) == ["base", "worse", "plotted"]
    worse = found["worse"]
    linear = worse.accuracies["linear"]
    assert (linear.mean, linear.deviation) == pytest.approx((61.0, 1.0))
    assert linear.difference.value == pytest.approx(-20.0)
    assert linear.difference.error == pytest.approx(math.sqrt(2 / 3))
    assert (linear.direction, worse.paper_difference) == ("agrees", -10.0)
    # Its kNN accuracy does not differ.
    assert worse.accuracies["kNN"].direction == "undecided"
    assert found["plotted"].accuracies["linear"].direction == "undecided"
    assert found["plotted"].paper_difference is None
    assert found["base"].paper_difference is None
    assert found["base"].accuracies["linear"].difference is None


def test_a_variant_can_be_compared_with_another_one():
    found = rows(
        base=[0.1, 0.1], other=[0.5, 0.5], of_other=[0.4, 0.4], never=[None, None]
    )
    row = found["of_other"]
    assert row.paper_difference == 5.0
    assert row.accuracies["linear"].difference.value == pytest.approx(-10.0)
    assert row.accuracies["linear"].direction == "disagrees"
    assert (found["never"].finished, found["never"].accuracies) == (0, {})


def test_unfinished_and_failed_seeds_are_counted_and_named():
    accuracies = {"base": [0.8, "no memory", None], "worse": [0.5, 0.6, 0.7]}
    row = rows(**accuracies)["base"]
    assert (row.finished, row.planned) == (1, 3)
    assert row.accuracies["linear"].deviation is None
    # One finished seed of the baseline decides nothing.
    assert rows(**accuracies)["worse"].accuracies["linear"].direction == "undecided"
    assert summary.missing(STUDY, outcomes(**accuracies)) == [
        "base: seed 1 failed (no memory), seed 2 has not finished"
    ]


def test_a_finished_run_without_an_accuracy():
    runs = outcomes(base=[0.8, 0.8])
    runs["seed0-worse"] = Outcome(FINISHED, 1.0, {"knn top1": 0.25})
    worse = summary.summarize(STUDY, runs)[1]
    assert set(worse.accuracies) == {"kNN"}
    assert worse.accuracies["kNN"].mean == 25.0
