"""Numbers and choices: what is accepted, and the one line of the error."""

import numpy as np
import pytest

import bt_keras
from bt_keras import checks

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        (checks.POSITIVE, [1, 0.5, np.float32(2), 1e-37], [0, -1, 1e-50, 1e39]),
        (checks.NOT_NEGATIVE, [0, 0.0, np.float16(1)], [-1e-30, 10**400]),
        (checks.FINITE, [-1, 0, 3e38], [-1e39, 1e39]),
        (checks.FRACTION, [0, 1], [1.001, -0.1]),
        (checks.BELOW_ONE, [0, 0.999], [1]),
        (checks.COUNT, [1, np.int64(8), 2**31 - 1], [0, -1, 8.0, 2**31, 1e3]),
        (checks.WHOLE, [0], [-1, 0.0]),
        (checks.SEED, [0, 2**32 - 1], [2**32]),
    ],
    ids=str,
)
def test_numbers(kind, accepted, refused):
    for value in accepted:
        converted = checks.number("x", value, kind)
        assert converted == value
        assert type(converted) in (int, float)
    for value in (*refused, NAN, INF, -INF, True, np.bool_(True), "1", None, [1], 1j):
        with pytest.raises(bt_keras.UsageError, match=r"^x=.* must be a") as error:
            checks.number("x", value, kind)
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 160


def test_choices():
    assert checks.choice("depth", np.int64(18), [18, 34]) == 18
    assert checks.choice("stem", np.str_("cifar"), ("imagenet", "cifar")) == "cifar"
    for value in ("18", 18.0, None, [18], np.zeros(3), {}):
        with pytest.raises(bt_keras.UsageError, match=r"^depth=.*one of 18, 34\.$"):
            checks.choice("depth", value, [18, 34])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.5), "0.5"),
        ("x" * 500, f"'{'x' * 79}..."),
        (bt_keras.views, "the function views"),
        (bt_keras.UsageError, "the class UsageError"),
        (checks, "the module bt_keras.checks"),
        (np.zeros((3, 3)), "<ndarray>"),
        ((8, "a\nb", None), r"(8, 'a\nb', None)"),
    ],
)
def test_values_in_messages(value, text):
    assert checks.described(value) == text
