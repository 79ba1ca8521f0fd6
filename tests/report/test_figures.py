"""Charts hold the values of the contents."""

import numpy as np
import pytest

from bt_keras.errors import UsageError
from bt_keras.report import feature_figures, figures
from tests.report.made_up import contents, curves, rank

MAKERS = {
    "curves": figures.curves,
    "results": figures.accuracy,
    "spectra": figures.spectra,
    "throughput": figures.throughput,
    "correlations": feature_figures.correlation,
    "feature_map": feature_figures.feature_map,
    "confusion": feature_figures.confusion,
}


def rows(chart):
    """Returns the values in a chart of one data set."""
    spec = chart.to_dict()
    return spec["data"]["values"]


@pytest.mark.parametrize("section", MAKERS)
def test_every_figure_is_a_valid_chart(section):
    # Altair checks the specification against the schema of Vega-Lite.
    assert "vega-lite" in MAKERS[section](contents()).to_dict()["$schema"]


@pytest.mark.parametrize("section", MAKERS)
def test_a_missing_part_is_named(section):
    run = contents(gaps={section: "it is missing"})
    with pytest.raises(UsageError, match=r"runs/demo: .*: it is missing"):
        MAKERS[section](run)


def test_every_metric_has_a_panel_and_the_loss_is_the_first():
    loss, invariance = figures.curve_panels(contents())
    assert (loss.title, invariance.title) == ("loss", "invariance")
    found = {(row["images"], row["epoch"]): row["value"] for row in rows(loss)}
    assert found["training", 1] == 100.0
    assert found["held out", 3] == 85.0
    assert [row["value"] for row in rows(invariance)] == [50.0, 30.0, 20.0]


def test_several_runs_share_the_panels():
    loss, _ = figures.curve_panels([contents(), contents("other")])
    assert {row["run"] for row in rows(loss)} == {"demo", "other"}
    assert "color" in loss.to_dict()["encoding"]


def test_a_run_without_the_part_is_left_out():
    missing = contents("other", gaps={"throughput": "it is missing"})
    chart = figures.throughput([contents(), missing])
    assert {row["run"] for row in rows(chart)} == {"demo"}


def test_a_metric_of_two_sets_of_images_does_not_name_one():
    run = contents(curves=curves([0.5, 0.6], "knn_top1", images=""))
    [panel] = figures.curve_panels(run)
    assert all("images" not in row for row in rows(panel))
    fields = [each["field"] for each in panel.to_dict()["encoding"]["tooltip"]]
    assert fields == ["run", "epoch", "value"]


def test_a_run_without_an_accuracy_has_no_chart_of_them():
    with pytest.raises(UsageError, match="no top-1 accuracy is measured"):
        figures.accuracy(contents(results=(rank("pretrained", 31.2),)))


def test_the_matrix_is_drawn_row_by_row():
    [first, _] = contents().correlations
    chart = feature_figures.correlation_panel(first)
    values = np.array(rows(chart)).reshape(16, 16)
    np.testing.assert_allclose(values, first.block, atol=0.005001)
    formulas = {
        each["as"]: each["calculate"] for each in chart.to_dict()["transform"][1:]
    }
    assert formulas == {
        "i": "floor((datum.number - 1) / 16)",
        "j": "(datum.number - 1) % 16",
    }


def test_singular_values_are_shares_of_the_largest():
    found = rows(figures.spectra(contents()))
    trained = [row["share"] for row in found if row["network"].startswith("epoch 3")]
    np.testing.assert_allclose(trained, np.exp(-0.1 * np.arange(32)), rtol=0.01)


def test_the_map_has_an_image_for_every_point():
    run = contents()
    found = rows(feature_figures.feature_map(run))
    assert [row["image"] for row in found] == [p.uri for p in run.feature_map.pictures]


def test_shares_of_a_confusion_matrix_are_those_of_the_rows():
    chart = feature_figures.confusion(contents())
    shares = np.array([row["share"] for row in rows(chart)]).reshape(6, 6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=0.005)
