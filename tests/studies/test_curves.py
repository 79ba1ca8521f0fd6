from bt_keras.studies.curves import loss_table
from bt_keras.workdir import Workdir


def make_log(path, losses):
    path.mkdir()
    lines = [f"{epoch},{loss}" for epoch, loss in enumerate(losses)]
    (path / "log.csv").write_text("\n".join(["epoch,loss", *lines, ""]))
    return Workdir(path)


def cells(table):
    return [line.split() for line in table.splitlines()]


def test_runs_of_different_lengths(tmp_path):
    runs = {
        "long": make_log(tmp_path / "long", range(100, -1, -1)),
        "short": make_log(tmp_path / "short", [7.25, 6.5]),
        "new": Workdir(tmp_path / "new"),
    }
    header, _, long, short, new = cells(loss_table(runs))
    assert header[4:] == ["1", "21", "41", "61", "81", "101"]
    assert long == ["long", "100", "80", "60", "40", "20", "0"]
    assert short == ["short", "7.25"]
    assert new == ["new"]


def test_all_epochs_of_short_runs(tmp_path):
    table = loss_table({"a": make_log(tmp_path / "a", [123.456, 2, 1])})
    assert cells(table)[2] == ["a", "123.5", "2", "1"]


def test_no_logs(tmp_path):
    assert loss_table({"a": Workdir(tmp_path)}) == ""
