"""The page of contents that are made up."""

import json
import math
import re

import numpy as np
import pytest

from bt_keras.errors import UsageError
from bt_keras.report.contents import (
    SECTIONS,
    Correlation,
    FeatureMap,
    NeighborRow,
    Spectrum,
)
from bt_keras.report.html_page import Page, render
from tests.report.made_up import accuracy, contents, curves, picture, rank


def specs(page):
    [text] = re.findall(r'id="specs">(.*?)</script>', page.html)
    return json.loads(text, parse_constant=pytest.fail)  # NaN is not JSON.


def test_every_part_is_on_the_page():
    page = render([contents()])
    for section, title in SECTIONS.items():
        assert f'<section id="{section}">' in page.html
        assert f"<h2>{title}</h2>" in page.html
    assert "Missing:" not in page.html
    drawn = re.findall('data-chart="([^"]+)"', page.html)
    assert sorted(drawn) == sorted(specs(page))
    assert {name.partition("-")[0] for name in drawn} == {
        "confusion",
        "correlations",
        "curves",
        "feature_map",
        "results",
        "spectra",
        "throughput",
    }


def test_nothing_comes_from_elsewhere():
    page = render([contents()]).html
    page = re.sub("<script>.*?</script>", "", page, flags=re.DOTALL)  # Vega's code.
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|img|iframe)[^>]*src=\"(?!data:)", page)
    assert not re.search(r"<link[^>]*href=\"(?!data:)", page)


def test_every_gap_is_named():
    gaps = {section: f"no {section} here" for section in SECTIONS}
    empty = dict.fromkeys(("curves", "results", "correlations", "spectra"), ())
    empty |= {"views": (), "neighbors": (), "feature_map": None, "confusion": None}
    page = render([contents(gaps=gaps, throughput={}, module=None, **empty)])
    for section in SECTIONS:
        assert f"Missing: no {section} here" in page.html
    assert not specs(page)


def test_several_runs_have_a_verdict_each_and_their_differences():
    other = contents("other", recipe={"seed": (7, 0), "batch_size": (128, 2048)})
    page = render([contents(), other]).html
    assert "<strong>demo:</strong>" in page
    assert "<strong>other:</strong>" in page
    [table] = re.findall(r"<th>demo</th>.*?</table>", page, re.DOTALL)
    assert re.findall("<code>(.*?)</code>", table) == ["seed", "epochs"]


def test_runs_of_one_name_are_told_apart_by_their_paths():
    page = render([contents(), contents()]).html
    assert "<strong>runs/demo:</strong>" in page


def test_the_page_of_a_long_run_with_many_details_is_small():
    """Noise is the largest image that there is."""
    rng = np.random.default_rng(0)
    noise = [picture(rng, f"class {number}", side=64) for number in range(600)]
    metrics = [curves(range(1, 3001), f"metric {number}") for number in range(12)]
    large = contents(
        curves=sum(metrics, ()),
        spectra=tuple(
            Spectrum(name, np.geomspace(1, 1e-3, 2048), 99.0, 2048, 2000)
            for name in ("untrained", "epoch 3000")
        ),
        correlations=tuple(
            Correlation(name, rng.uniform(-1, 1, (64, 64)), 8192, 256, 0.5, 0.1)
            for name in ("untrained", "epoch 3000")
        ),
        feature_map=FeatureMap("t-SNE", rng.normal(size=(500, 2)), tuple(noise[:500])),
        neighbors=tuple(
            NeighborRow(noise[500 + 9 * row], tuple(noise[501:509]), (0.9,) * 8)
            for row in range(10)
        ),
        throughput=dict.fromkeys(range(2, 3001), 1234.5),
    )
    page = render([large, large])
    assert len(page.html.encode()) < 5e6
    drawn = {row["epoch"] for row in specs(page)["curves-0"]["data"]["values"]}
    assert 300 < len(drawn) < 500
    assert {1, 3000} <= drawn


@pytest.mark.parametrize("held_out", [True, False])
def test_the_page_says_whether_training_saw_the_images(held_out):
    page = render([contents(held_out=held_out)]).html
    # Neighbors, map and confusion matrix.
    assert page.count("that training did not see") == (3 if held_out else 0)
    assert page.count("there are no test images") == (0 if held_out else 3)


@pytest.mark.parametrize("held_out", [True, False])
def test_the_page_names_the_splits_that_were_chosen(held_out):
    chosen = contents(held_out=held_out, splits=("train[:9]", "extra"))
    page = render([chosen]).html
    assert page.count("of split &#39;extra&#39;") == 3
    assert ("other images of split &#39;train[:9]&#39;" in page) == (not held_out)
    assert "that training did not see" not in page
    assert "there are no test images" not in page


def test_a_page_of_several_long_runs_with_many_metrics_is_small():
    metrics = [f"metric {number}" for number in range(20)]
    lines = [
        curves(range(1000), metric, images)
        for metric in metrics
        for images in ("training", "held out")
    ]
    spectra = tuple(
        Spectrum(name, np.geomspace(1, 1e-3, 2000), 99.0, 2048, 2000)
        for name in ("untrained", "epoch 1000")
    )
    runs = [
        contents(f"run {number}", curves=sum(lines, ()), spectra=spectra)
        for number in range(5)
    ]
    found = specs(render(runs))
    # Images and the code of Vega take the rest of 5 MB.
    assert sum(len(json.dumps(spec)) for spec in found.values()) < 2.5e6
    numbers = {row["number"] for row in found["spectra-0"]["data"]["values"]}
    assert {1, 2, 3, 2000} <= numbers


def test_a_number_that_is_not_finite_leaves_the_other_charts():
    page = render([contents(results=(accuracy("pretrained", math.nan),))])
    found = specs(page)
    [row] = found["results-0"]["data"]["values"]
    assert row["accuracy"] is None
    assert "curves-0" in found


def test_results_without_accuracies_are_a_table():
    page = render([contents(results=(rank("pretrained", 31.2),))])
    assert "results-0" not in specs(page)
    shown = r"<details open><summary>All results</summary><pre>[^<]*31\.2"
    assert re.search(shown, page.html)


def test_names_are_escaped():
    page = render([contents("<script>x</script>")]).html
    assert "<script>x" not in page


def test_a_notebook_shows_the_page_in_a_frame():
    frame = Page('<p class="a">&</p>')._repr_html_()
    assert 'srcdoc="&lt;p class=&quot;a&quot;&gt;&amp;&lt;/p&gt;"' in frame


def test_saving_replaces_the_file(tmp_path):
    for text in ("first", "second"):
        Page(text).save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(UsageError, match="cannot be written"):
        Page("").save(tmp_path / "page.html" / "inside.html")
