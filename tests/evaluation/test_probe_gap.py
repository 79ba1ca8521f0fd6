import dataclasses

import pytest

from bt_keras.evaluation.probe_gap import probe_gaps
from bt_keras.evaluation.results import Result


def probe(protocol, value, backbone="pretrained", metric="top1", epoch="6"):
    return Result(
        protocol, metric, value, 100, backbone=backbone, epoch=epoch, source="x"
    )


def test_the_last_results_of_both_probes_are_compared():
    lines = probe_gaps(
        [
            probe("linear", 0.5),
            probe("linear_cached", 0.6),
            probe("linear_cached", 0.9, metric="top5"),
            probe("linear", 0.7, epoch="3"),
            probe("linear", 0.75),
            probe("knn", 0.1),
            probe("linear", 0.2, "untrained"),
            probe("linear_cached", 0.2, "untrained"),
        ]
    )
    assert len(lines) == 2
    assert "exact 75.00 %, cached 60.00 %: 15.00 points" in lines[0]
    assert "untrained" in lines[1]
    assert "0.00 points" in lines[1]


@pytest.mark.parametrize(
    "other", [{"settings": {"epochs": 5}}, {"settings": {}}, {"seed": 1}]
)
def test_probes_with_other_settings_are_not_compared(other):
    exact, cached = (
        dataclasses.replace(probe(name, 0.5), settings={"epochs": 100}, seed=0)
        for name in ("linear", "linear_cached")
    )
    assert len(probe_gaps([exact, cached])) == 1
    assert probe_gaps([exact, dataclasses.replace(cached, **other)]) == []


def test_rates_may_differ_and_are_named():
    exact, cached = (
        dataclasses.replace(probe(name, 0.5), settings=settings)
        for name, settings in (
            ("linear", {"learning_rate": 0.3}),
            ("linear_cached", {"learning_rate": 0.01, "rates": "grid"}),
        )
    )
    [line] = probe_gaps([exact, cached])
    assert "exact 50.00 % (rate 0.3), cached 50.00 % (rate 0.01): 0.00 points" in line


def test_one_probe_alone_is_not_compared():
    results = [probe("linear", 0.5), probe("linear_cached", 0.5, "untrained")]
    assert probe_gaps(results) == []
