"""`bt-keras evaluate --protocol=labelfree` on a run, a module and unlabeled images."""

import json
import shutil

from bt_keras.cli import main
from tests.cli.commands import one_error_line, rows

OF_FEATURES = ["rankme", "alpha_req", "clid_learnability", "clid_dimension"]
OF_THE_RUN = ["rankme", "lidar", "loss", "loss_floor", "loss_over_floor"]


def few_views(workdir):
    config = json.loads((workdir / "config.json").read_text())
    config["evaluation"]["labelfree"] |= {"lidar_images": 4, "augmentations": 4}
    (workdir / "config.json").write_text(json.dumps(config))


def test_a_run(copied, capsys):
    few_views(copied)
    assert main(["evaluate", f"--workdir={copied}", "--protocol=labelfree"]) == 0
    printed = capsys.readouterr().out
    stored = rows(copied / "results.csv")
    assert [row["metric"] for row in stored] == OF_FEATURES + OF_THE_RUN
    assert {row["evaluator"] for row in stored} == {"labelfree"}
    lidar = json.loads(stored[5]["settings"])
    assert (lidar["augmentations"], stored[5]["test_images"]) == (4, "4")
    assert main(["report", f"--workdir={copied}"]) == 0
    reported = capsys.readouterr().out
    for row in stored:
        line = f"{float(row['value']):.4g}"
        assert line in printed
        assert line in reported


def test_a_module(module, images, capsys):
    command = ["evaluate", f"--module={module}", f"--source={images}"]
    assert main([*command, "--protocol=labelfree"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "no embeddings and no loss: the projector of a module is not used; use "
        "--workdir" in lines
    )
    scored = [line.split()[:2] for line in lines if line.split()[1:2] == ["features"]]
    assert scored == [[name, "features"] for name in [*OF_FEATURES, "lidar"]]


def test_images_without_labels_in_one_folder(copied, images, tmp_path, capsys):
    few_views(copied)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("dark", "light"):
        for path in (images / "train" / name).iterdir():
            shutil.copy(path, folder / f"{name}-{path.name}")
    command = ["evaluate", f"--workdir={copied}", f"--source={folder}"]
    assert main([*command, "--protocol=labelfree"]) == 0
    assert "no test images" in capsys.readouterr().out
    stored = rows(copied / "results.csv")
    assert [row["metric"] for row in stored] == [*OF_FEATURES, *OF_THE_RUN[:2]]
    one_error_line(capsys, command, "no split 'test'")


def test_settings_out_of_range_are_named(copied, capsys):
    config = json.loads((copied / "config.json").read_text())
    config["evaluation"]["labelfree"]["augmentations"] = 1
    (copied / "config.json").write_text(json.dumps(config))
    command = ["evaluate", f"--workdir={copied}", "--protocol=labelfree"]
    one_error_line(capsys, command, "config.evaluation.labelfree.augmentations is 1")
