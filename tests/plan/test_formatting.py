import pytest

from bt_keras.plan.formatting import quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (25_300_000_000, "25.3 GB"),
        (4.2e21, "4.2e+03 EB"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(value, text):
    assert quantity(value, "B") == text
