from bt_keras.studies.queue import FAILED, Outcome
from bt_keras.studies.study_table import markdown_table, study_table
from tests.studies.test_summary import STUDY, outcomes


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_columns():
    text = study_table(
        STUDY, "tiny runs", outcomes(base=[0.80, 0.82], worse=[0.6, 0.6], plotted=[0.9])
    )
    header, base, worse, plotted = cells(text)
    assert header == [
        *("variant", "paper top-1 %", "difference", "seeds"),
        *("linear top-1 %", "difference", "direction"),
        *("kNN top-1 %", "difference", "direction"),
    ]
    assert base == [
        *("base", "70.0", "", "2 of 2", "81.00 ± 1.41", "", ""),
        *("50.00 ± 0.00", "", ""),
    ]
    assert worse == [
        *("worse", "60.0", "-10.0", "2 of 2", "60.00 ± 0.00", "-21.00", "agrees"),
        *("50.00 ± 0.00", "+0.00", "undecided"),
    ]
    assert plotted[:7] == [
        *("plotted", "", "", "1 of 1", "90.00", "+9.00", "undecided")
    ]
    assert text.startswith(
        "# Constructed numbers\n\nRuns: tiny runs. The paper's figures: here.\n"
    )
    assert "Without results" not in text


def test_the_compared_variant_is_named_if_there_are_several():
    header, _, _, of_other = cells(
        study_table(STUDY, "", outcomes(base=[0.5], other=[0.5], of_other=[0.4]))
    )
    assert header[:2] == ["variant", "against"]
    assert of_other[:4] == ["of_other", "other", "55.0", "+5.0"]


def test_seeds_without_results_are_named():
    runs = outcomes(base=[0.8, None])
    runs["seed0-worse"] = Outcome(FAILED, error="a | b")
    text = study_table(STUDY, "", runs)
    assert cells(text)[2] == ["worse", "60.0", "-10.0", "0 of 1", *[""] * 6]
    assert text.endswith(
        "Without results:\n\n- base: seed 1 has not finished\n"
        "- worse: seed 0 failed (a | b)\n"
    )


def test_columns_are_aligned_and_bars_are_escaped():
    lines = markdown_table(("a", "b"), [("x|y", ""), ("", "± 1")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2] == "| x\\|y |     |"
