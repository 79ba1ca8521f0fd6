"""Fixtures of the evaluation tests."""

import pytest

from tests.evaluation.gray import frozen_mean_color


@pytest.fixture
def frozen():
    """Three classes of gray level, and a backbone that sees the mean color."""
    return frozen_mean_color()
