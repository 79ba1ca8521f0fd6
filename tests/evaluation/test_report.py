"""Tables of results."""

import dataclasses

import numpy as np
import pytest

from bt_keras.evaluation import report, results
from bt_keras.evaluation.results import Result
from bt_keras.workdir import Workdir
from tests.evaluation.fine_tuned import fine_tuned


def test_fine_tuning_has_one_line_for_each_share_and_backbone():
    header, _, *lines = report.results_table(fine_tuned()).splitlines()
    assert header.split()[:4] == ["labels", "labeled", "images", "backbone"]
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


def test_a_later_result_replaces_an_earlier_one_with_the_same_seed():
    scratch = [r for r in fine_tuned() if r.backbone == "scratch" and r.n == 2000]
    again = [dataclasses.replace(r, value=0.9) for r in scratch]
    table = report.results_table(fine_tuned() + again)
    assert "90.00 ± 0.00" in table
    assert "61.00" not in table


def test_a_later_result_replaces_the_number_of_test_images_too():
    few = Result("knn", "top1", 0.5, 128, {"k": 200}, backbone="a", source="x")
    all_images = dataclasses.replace(few, value=0.75, n=2000)
    *_, line = report.results_table([few, all_images]).splitlines()
    assert line.split() == ["a", "knn", "(k=200)", "x", "75.00", "2000"]


def test_other_results_have_a_table_of_their_own():
    knn = Result("knn", "top1", 0.5, 2000, {"k": 200, "temperature": 0.1})
    first, second = report.results_table([*fine_tuned(), knn]).split("\n\n")
    assert "knn (k=200, temperature=0.1)" in first
    assert "50.00" in first
    assert "±" not in first
    assert "±" in second


def test_other_metrics_have_columns_after_the_accuracies():
    accuracy = Result("knn", "top1", 0.5, 2000, {"k": 200}, backbone="a", source="x")
    rank = Result("effective_rank", "rank", 17.25, 2000, backbone="a", source="x")
    header, _, first, second = report.results_table([accuracy, rank]).splitlines()
    assert header.split()[-5:] == ["top-5", "%", "rank", "test", "images"]
    assert first.split() == ["a", "knn", "(k=200)", "x", "50.00", "2000"]
    assert second.split() == ["a", "effective_rank", "x", "17.25", "2000"]


@pytest.mark.parametrize("percent", [0.1, 1, 7, 12.5, 29, 100])
def test_shares_are_printed_as_given(percent):
    text = report.settings_text({"label_share": percent / 100})
    assert text == f"labels={percent}%"


def test_the_report_of_an_old_results_file(tmp_path):
    """New results are grouped with those written before settings were JSON."""
    legacy = (
        "backbone,epoch,evaluator,source,settings,metric,value,test_images\n"
        'scratch,0,finetune,shipped,"labels=1%, images=100, seed=0, 300 steps",'
        "top1,0.5,2000\n"
        'scratch,0,finetune,shipped,"labels=1%, images=100, seed=0, 300 steps",'
        "top5,0.5,2000\n"
    )
    workdir = Workdir(tmp_path)
    workdir.results_file.write_text(legacy)
    new = [r for r in fine_tuned() if r.backbone == "scratch" and r.seed == 1]
    results.append(workdir.results_file, new)
    [line] = [text for text in report.report(workdir).splitlines() if "300" in text]
    mean, deviation = np.mean([50, 61]), np.std([50, 61], ddof=1)
    assert f"{mean:.2f} ± {deviation:.2f}" in line
