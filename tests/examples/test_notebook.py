"""The notebook runs as it is, and its kept output is that of its code."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.markdown import ROOT

NOTEBOOK = ROOT / "examples/pretrain_and_transfer.ipynb"
LARGEST = 2_000_000  # Bytes.


def accuracies(notebook):
    """Returns the accuracies that the last cell prints, by name."""
    text = notebook.cells[-1].outputs[-1].text
    found = re.findall(r"^(.*?) +(0\.\d+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def check(notebook):
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in codes for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    found = accuracies(notebook)
    assert found["pretrained"] > found["from scratch"]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert pictures == 3


def test_the_kept_output_is_whole_and_small():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    check(notebook)
    assert NOTEBOOK.stat().st_size < LARGEST


@pytest.mark.slow  # Trains for four epochs.
def test_the_notebook_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    check(client.execute())
