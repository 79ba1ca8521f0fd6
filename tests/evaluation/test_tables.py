"""Tables of results."""

import dataclasses

import numpy as np
import pytest

from bt_keras.evaluation import tables
from bt_keras.evaluation.intervals import wilson
from bt_keras.evaluation.results import Result
from tests.evaluation.fine_tuned import fine_tuned


def interval(share, n=2000):
    low, high = wilson(share, n)
    return f"{100 * low:.2f} to {100 * high:.2f}"


def test_fine_tuning_has_one_line_for_each_share_and_backbone():
    header, _, *lines = tables.results_table(fine_tuned()).splitlines()
    assert header.split()[:4] == ["labels", "labeled", "images", "backbone"]
    cells = [line.split("  ") for line in lines]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in cells]
    rest = ["300 steps", "paper", "finetune", "shipped", "2000"]
    three, one = ("99.00 ± 0.00", "3"), "99.00"
    deviation = np.std([70, 72, 77], ddof=1)
    spread = f"73.00 ± {deviation:.2f}"
    assert cells == [
        ["1%", "100", "pretrained", "6", spread, interval(0.73), *three, *rest],
        ["1%", "100", "scratch", "0", "61.00 ± 1.00", interval(0.61), *three, *rest],
        ["100%", "10000", "pretrained", "6", "85.00", interval(0.85), one, "1", *rest],
        ["100%", "10000", "scratch", "0", "84.00", interval(0.84), one, "1", *rest],
    ]


def test_seeds_of_different_image_sizes_are_not_averaged():
    own = [r for r in fine_tuned() if r.settings["images"] == 100]
    own = [r for r in own if r.backbone == "scratch"]
    larger = [dataclasses.replace(r, settings={**r.settings, "size": 32}) for r in own]
    _, _, *lines = tables.results_table([*own, *larger[:2]]).splitlines()
    assert len(lines) == 2
    assert " 300 steps  " in lines[0]
    assert "61.00 ± 1.00" in lines[0]
    assert " 300 steps at 32 pixels  " in lines[1]
    assert "±" not in lines[1].replace("± 0.00", "")


def test_a_later_result_replaces_an_earlier_one_with_the_same_seed():
    scratch = [r for r in fine_tuned() if r.backbone == "scratch" and r.n == 2000]
    again = [dataclasses.replace(r, value=0.9) for r in scratch]
    table = tables.results_table(fine_tuned() + again)
    assert "90.00 ± 0.00" in table
    assert "61.00" not in table


def test_a_later_result_replaces_the_number_of_test_images_too():
    few = Result("knn", "top1", 0.5, 128, {"k": 200}, backbone="a", source="x")
    all_images = dataclasses.replace(few, value=0.75, n=2000)
    *_, line = tables.results_table([few, all_images]).splitlines()
    knn = ["a", "knn", "(k=200)", "x"]
    assert line.split() == [*knn, "75.00", *interval(0.75).split(), "2000"]


def test_without_results_there_is_an_empty_table():
    assert len(tables.results_table([]).splitlines()) == 2
    assert "evaluator" not in tables.results_table(fine_tuned())


def test_other_results_have_a_table_of_their_own():
    knn = Result("knn", "top1", 0.5, 2000, {"k": 200, "temperature": 0.1})
    first, second = tables.results_table([*fine_tuned(), knn]).split("\n\n")
    assert "knn (k=200, temperature=0.1)" in first
    assert "50.00" in first
    assert "±" not in first
    assert "±" in second


def test_other_metrics_have_tables_after_the_accuracies():
    accuracy = Result("knn", "top1", 0.5, 2000, {"k": 200}, backbone="a", source="x")
    rank = Result("effective_rank", "rank", 17.25, 2000, backbone="a", source="x")
    first, second = tables.results_table([rank, accuracy]).split("\n\n")
    header, _, line = first.splitlines()
    assert header.split()[-4:] == ["top-5", "%", "test", "images"]
    knn = ["a", "knn", "(k=200)", "x"]
    assert line.split() == [*knn, "50.00", *interval(0.5).split(), "2000"]
    header, _, line = second.splitlines()
    assert header.split()[-4:] == ["source", "rank", "test", "images"]
    assert line.split() == ["a", "effective_rank", "x", "17.25", "2000"]


def test_recalls_are_percentages():
    recalls = [
        Result("retrieval", f"recall@{k}", 0.5 + k / 100, 90, backbone="a", source="x")
        for k in (1, 5)
    ]
    header, _, line = tables.results_table(recalls).splitlines()
    assert header.split()[-6:] == ["recall@1", "%", "recall@5", "%", "test", "images"]
    assert line.split() == ["a", "retrieval", "x", "51.00", "55.00", "90"]


def test_the_rates_of_a_grid_have_a_line_of_their_own():
    paper = [r for r in fine_tuned() if r.settings["images"] == 100]
    grid = [
        dataclasses.replace(r, value=0.5, settings={**r.settings, "rates": "grid"})
        for r in paper
    ]
    lines = tables.results_table(paper + grid).splitlines()[2:]
    assert [("grid" in line, "50.00" in line) for line in lines] == [
        (False, False),
        (True, True),
    ] * 2


@pytest.mark.parametrize(
    ("field", "old", "new", "part"),
    [
        ("settings", {"subset": "stratified"}, {"subset": "published"}, "(published)"),
        ("settings", {"learning_rate": 0.1}, {"learning_rate": 0.2}, " 0.2 "),
        ("settings", {}, {"head_learning_rate": 0.5}, " 0.5 "),
        ("protocol", "finetune", "semi", " semi "),
    ],
)
def test_trainings_of_other_kinds_are_not_averaged(field, old, new, part):
    """Such as one seed that was trained again after the config changed."""
    trained = [r for r in fine_tuned() if r.settings["images"] == 100]

    def of_kind(result, kind):
        value = {**result.settings, **kind} if field == "settings" else kind
        return dataclasses.replace(result, **{field: value})

    again = [
        dataclasses.replace(of_kind(r, new), value=0.5) for r in trained if not r.seed
    ]
    results = [of_kind(r, old) for r in trained] + again
    lines = tables.results_table(results).splitlines()[2:]
    assert [("50.00" in line, part in line) for line in lines] == [
        (False, False),
        (True, True),
    ] * 2


def test_rates_that_a_grid_chose_are_averaged():
    trained = [
        dataclasses.replace(
            r, settings={**r.settings, "rates": "grid", "learning_rate": 0.1 + r.seed}
        )
        for r in fine_tuned()
        if r.settings["images"] == 100
    ]
    lines = tables.results_table(trained).splitlines()[2:]
    assert len(lines) == 2
    assert all("grid" in line and "±" in line for line in lines)


def test_both_linear_probes_are_compared():
    probes = [
        Result(name, "top1", value, 2000, {"epochs": 5}, 0, "a", "4", "x")
        for name, value in (("linear", 0.75), ("linear_cached", 0.5))
    ]
    _, comparison = tables.results_table(probes).split("\n\n")
    assert "exact 75.00 %, cached 50.00 %: 25.00 points apart" in comparison


@pytest.mark.parametrize("percent", [0.1, 1, 7, 12.5, 29, 100])
def test_shares_are_printed_as_given(percent):
    text = tables.settings_text({"label_share": percent / 100})
    assert text == f"labels={percent}%"
