import sys

import pytest

import bt_keras
from bt_keras.networks import importing


def test_names_are_found_in_modules_classes_and_the_current_folder(
    tmp_path, monkeypatch
):
    assert importing.find("bt_keras.networks.resnet.resnet") is bt_keras.resnet
    method = importing.find("tests.networks.named.Subclass.from_preset")
    assert method.__name__ == "from_preset"
    (tmp_path / "of_this_test.py").write_text("def make():\n    return 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert importing.find("of_this_test.make")() == 3


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ConvNextTiny", ("neither 'resnet' nor", "keras.applications.ConvNeXtTiny")),
        ("anything", ("neither 'resnet' nor", "such as keras.applications")),
        ("keras..MobileNet", ("a function with its module",)),
        ("keras.applications.MobilNet", ("has no 'MobilNet'", ".MobileNet")),
        ("keras.applications.convnext", ("is the module keras.applications.convnext",)),
        ("no_such_package.network", ("no module 'no_such_package'", "current folder")),
        ("tests.networks.named.SIZE", ("is 8, not a function",)),
        ("tests.networks.named.os.system", ("is the function system, not",)),
        ("os.system", ("is the function system, not",)),
        ("keras.utils.get_file", ("is the function get_file, not",)),
        ("tensorflow.io.write_file", ("is the function write_file, not",)),
        ("keras.layers.Dense", ("is the class Dense, not",)),
    ],
)
def test_names_of_no_network(name, parts):
    with pytest.raises(bt_keras.UsageError) as error:
        importing.find(name)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_pa"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "calls sys.exit"),
    ],
)
def test_modules_that_cannot_be_imported(code, part, tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(bt_keras.UsageError, match="broken_module") as error:
        importing.find("broken_module.network")
    assert part in str(error.value)
