import pytest

from bt_keras.convert.pth.allowed_globals import (
    ForbiddenGlobalError,
    Name,
    UnsupportedTensorError,
    expect_dict_key,
    expect_type,
    resolve,
)


def test_expect_type_accepts_exactly_this_type():
    assert expect_type(int, 3) == 3
    with pytest.raises(TypeError, match="expected int, found bool"):
        expect_type(int, True)
    with pytest.raises(TypeError, match="expected str, found Name"):
        expect_type(str, Name("torch.Size"))


def test_dict_keys_have_fast_hashes():
    for key in ("a", 2**60, -(2**60), 0.5, True, None):
        assert expect_dict_key(key) is key
    with pytest.raises(TypeError, match="type tuple"):
        expect_dict_key((1, 2))
    for key in (2**60 + 1, -(2**60) - 1):
        with pytest.raises(ValueError, match="too large"):
            expect_dict_key(key)


@pytest.mark.parametrize(
    "dotted", ["collections.OrderedDict", "torch.Size", "torch.HalfStorage"]
)
def test_names_that_plain_data_need(dotted):
    assert resolve(dotted) == dotted
    assert type(resolve(dotted)) is Name


def test_other_names():
    assert resolve("__main__.exclude_bias_and_norm") is True
    with pytest.raises(UnsupportedTensorError, match="rebuild_qtensor"):
        resolve("torch._utils._rebuild_qtensor")
    with pytest.raises(ForbiddenGlobalError, match="system"):
        resolve("os.system")
