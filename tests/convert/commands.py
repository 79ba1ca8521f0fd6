"""How the tests run `bt-keras convert`."""

from bt_keras import cli


def run(*arguments):
    return cli.main(["convert", *map(str, arguments)])


def refused(capsys, *arguments):
    """The one line that a refused command prints."""
    capsys.readouterr()
    assert run(*arguments) == cli.BAD_INPUT
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith("bt-keras: error: ")
    assert error.count("\n") == 1
    return error
