"""How the tests run `bt-keras convert`."""

from bt_keras.cli.main import BAD_INPUT, main


def run(*arguments):
    return main(["convert", *map(str, arguments)])


def refused(capsys, *arguments):
    """The one line that a refused command prints."""
    capsys.readouterr()
    assert run(*arguments) == BAD_INPUT
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith("bt-keras: error: ")
    assert error.count("\n") == 1
    return error
