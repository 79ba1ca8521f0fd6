import math

import numpy as np
import pytest
from scipy import stats

from bt_keras import UsageError
from bt_keras.studies.ranking import SCORES, agreement, goodness, kendall_tau, regret


def run(**values):
    of = {"rankme": "embeddings", "lidar": "embeddings", "loss": "embeddings"}
    of["loss_over_floor"] = "embeddings"
    return {f"labelfree {n} {of.get(n, 'features')}": v for n, v in values.items()}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [3, 1000], ids=["ties", "no ties"])
def test_tau_is_that_of_scipy(seed, levels):
    first, second = np.random.default_rng(seed).integers(0, levels, (2, 24))
    expected = stats.kendalltau(first, second).statistic
    assert kendall_tau(first, second) == pytest.approx(expected)


def test_tau_of_extremes():
    order = np.arange(6.0)
    assert kendall_tau(order, order**3) == pytest.approx(1)
    assert kendall_tau(order, -order) == pytest.approx(-1)
    assert math.isnan(kendall_tau(order, np.ones(6)))
    infinite = np.array([-np.inf, 1, 2, 3, 4, np.inf])
    assert kendall_tau(infinite, order) == pytest.approx(1)
    both = np.array([-np.inf, -np.inf, 2, 3, 4, 5])
    expected = stats.kendalltau([0, 0, 2, 3, 4, 5], order).statistic
    assert kendall_tau(both, order) == pytest.approx(expected)


def test_regret():
    accuracy = [0.5, 0.9, 0.7]
    assert regret([1, 2, 0], accuracy) == 0
    assert regret([1, 2, 3], accuracy) == pytest.approx(0.2)
    assert regret([3, 2, 3], accuracy) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("score", "bad", "good"),
    [
        ("rankme", {"rankme": 3}, {"rankme": 20}),
        ("lidar", {"lidar": 3}, {"lidar": 20}),
        ("alpha_req", {"alpha_req": 0.4}, {"alpha_req": 1.2}),
        ("alpha_req", {"alpha_req": math.inf}, {"alpha_req": 2.2}),
        ("loss", {"loss": 90}, {"loss": 30}),
        ("loss_over_floor", {"loss_over_floor": 0.9}, {"loss_over_floor": 0.2}),
        ("clid_dimension", {"clid_dimension": 2}, {"clid_dimension": 9}),
    ],
)
def test_good_runs_have_high_numbers(score, bad, good):
    low, high = goodness(score, {"bad": run(**bad), "good": run(**good)})
    assert low < high


def test_clid_adds_both_parts_on_one_scale():
    parts = {"a": (0.9, 5.0), "b": (0.5, 9.0), "c": (0.7, 1.0)}
    runs = {
        name: run(clid_learnability=cl, clid_dimension=dimension)
        for name, (cl, dimension) in parts.items()
    }
    learnability, dimension = map(np.array, zip(*parts.values(), strict=True))
    expected = learnability / learnability.std() + dimension / dimension.std()
    np.testing.assert_allclose(goodness("clid", runs), expected)


@pytest.mark.parametrize("score", SCORES)
def test_a_run_without_the_score_is_named(score):
    with pytest.raises(UsageError, match=r"runs/b has no result 'labelfree .*evaluate"):
        goodness(score, {"runs/b": {"knn top1": 0.5}})


def test_agreement_with_an_accuracy():
    rng = np.random.default_rng(0)
    parts = ("rankme", "alpha_req", "clid_learnability", "clid_dimension")
    names = [f"labelfree {part} features" for part in parts]
    parts = ("rankme", "lidar", "loss", "loss_over_floor")
    names += [f"labelfree {part} embeddings" for part in parts]
    runs = {}
    for number in range(24):
        values = {name: float(rng.normal()) for name in names}
        values["linear_cached top1"] = 0.5 + number / 100
        values["labelfree rankme embeddings"] = float(number)
        values["labelfree loss embeddings"] = float(number)
        runs[str(number)] = values
    found = {score: rest for score, *rest in agreement(runs)}
    assert list(found) == list(SCORES)
    assert found["rankme"] == pytest.approx([1, 0, 0], abs=1e-9)
    assert found["loss"] == pytest.approx([-1, 0, 0.23], abs=1e-9)
    accuracies = [run["linear_cached top1"] for run in runs.values()]
    lidar = goodness("lidar", runs)
    expected = stats.kendalltau(lidar, accuracies, method="asymptotic")
    assert found["lidar"][:2] == pytest.approx(list(expected))
    with pytest.raises(UsageError, match="0 has no result 'knn top1'"):
        agreement(runs, "knn top1")
    with pytest.raises(UsageError, match="at least three runs"):
        agreement(dict([*runs.items()][:2]))
