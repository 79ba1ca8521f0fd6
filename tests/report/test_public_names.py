"""The names of `bt_keras.report`, which are imported on first use."""

import pytest

from bt_keras import report


@pytest.mark.parametrize("name", report.__all__)
def test_a_name_is_the_same_callable_each_time(name):
    # Importing a module binds it to its package under its own name.
    first, second = getattr(report, name), getattr(report, name)
    assert callable(first)
    assert first is second
    assert first.__name__ == name
