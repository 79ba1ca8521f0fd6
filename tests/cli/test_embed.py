"""`bt-keras embed`, from flags to files of features."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

import bt_keras
from bt_keras import data
from bt_keras.cli import main
from bt_keras.evaluation.embed import embed
from bt_keras.evaluation.target import target_from_module
from tests.cli.commands import one_error_line


def embedded(module, source, out, *flags):
    arguments = [f"--module={module}", f"--source={source}", f"--out={out}", *flags]
    assert main(["embed", *arguments]) == 0
    return np.load(out)


def test_features_labels_and_names_belong_to_the_files(
    module, photos, tmp_path, capsys
):
    out = tmp_path / "new" / "features.npz"
    arrays = embedded(module, photos, out, "--split=test", "--batch_size=5")
    assert f"{out}: 18 x 12 features" in capsys.readouterr().out
    names = arrays["file_names"].tolist()
    assert sorted(names) == sorted(
        path.relative_to(photos / "test").as_posix()
        for path in (photos / "test").rglob("*.png")
    )
    classes = arrays["class_names"][arrays["labels"]]
    assert classes.tolist() == [name.split("/")[0] for name in names]
    pixels = [np.asarray(Image.open(photos / "test" / name)) for name in names]
    expected = bt_keras.load_backbone(module)(np.stack(pixels).astype("float32") / 255)
    np.testing.assert_allclose(arrays["features"], expected, rtol=1e-4, atol=1e-5)


def test_parquet_and_npz_have_the_same_rows(module, photos, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    arrays = embedded(module, photos, tmp_path / "features.npz")
    flags = [f"--module={module}", f"--source={photos}"]
    assert main(["embed", *flags, f"--out={tmp_path / 'features.parquet'}"]) == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    np.testing.assert_array_equal(table["feature"], arrays["features"])
    assert table["file_name"] == arrays["file_names"].tolist()
    assert table["label"] == arrays["labels"].tolist()


def test_images_without_labels(module, photos, tmp_path):
    arrays = embedded(module, photos / "train" / "dark", tmp_path / "features.npz")
    assert sorted(arrays) == ["features", "file_names"]
    assert arrays["file_names"].tolist() == [f"{i}.png" for i in range(9)]


def test_images_without_files_are_named_by_their_positions(module, tmp_path):
    target = target_from_module(module)
    out = tmp_path / "features.npz"
    embed(target, data.load("shipped", "test[:300]"), out)
    arrays = np.load(out)
    assert arrays["features"].shape == (300, 12)
    assert arrays["file_names"].tolist() == [str(i) for i in range(300)]
    labels = [int(label) for _, label in data.load("shipped", "test[:300]").dataset()]
    assert arrays["labels"].tolist() == labels


def test_names_that_are_not_text_are_escaped(module, photos, tmp_path):
    source = data.load(str(photos / "train" / "dark"))
    named = dataclasses.replace(source, file_name=lambda record: b"\xff.png")
    embed(target_from_module(module), named, tmp_path / "features.npz")
    names = np.load(tmp_path / "features.npz")["file_names"]
    assert set(names.tolist()) == {"\\udcff.png"}


def test_errors_are_one_line_and_write_nothing(module, photos, tmp_path, capsys):
    def fails(source, out, *parts, flags=()):
        arguments = [f"--module={module}", f"--source={source}", f"--out={out}"]
        one_error_line(capsys, ["embed", *arguments, *flags], *parts)

    there = tmp_path / "there.npz"
    there.touch()
    new = tmp_path / "new.npz"
    fails(photos, there, "exists already")
    fails(photos, tmp_path / "f.csv", ".npz or .parquet")
    fails(photos, new, "'other'", flags=["--split=other"])
    fails(photos, new, "batch_size", flags=["--batch_size=0"])
    fails(tmp_path / "nowhere", new, "nowhere")
    copied = shutil.copytree(photos, tmp_path / "copied")
    (copied / "train" / "dark" / "4.png").write_bytes(b"damaged")
    fails(copied, new, "4.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copied", "there.npz"]
