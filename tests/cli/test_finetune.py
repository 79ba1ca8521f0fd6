"""`bt-keras finetune`, from flags to a classifier that others load."""

import contextlib
import io
import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import bt_keras
from bt_keras.cli import main
from bt_keras.evaluation import results
from tests import processes
from tests.cli.commands import one_error_line

SERVE = """
import sys
sys.modules["bt_keras"] = None
import numpy as np, tensorflow as tf
module = tf.saved_model.load({folder!r})
outputs = module.signatures["encoded"](
    inputs=tf.constant([open(p, "rb").read() for p in {files!r}])
)
np.save("outputs.npy", outputs["probabilities"])
print(*outputs["labels"].numpy().astype(str), sep="\\n")
"""

# Together with the largest learning rate of the backbone.
DIVERGING = ["--head_learning_rate=1e12", "--epochs=9"]


def pixels(folder):
    """Returns the files of a folder of classes, and the images in [0, 1]."""
    files = sorted(folder.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    return files, (images / 255).astype("float32")


def accuracy(text):
    """Returns the printed accuracy."""
    return float(re.search(r"held-out accuracy: ([\d.]+) %", text)[1]) / 100


@pytest.fixture(scope="module")
def arguments(module, photos):
    return [f"--module={module}", f"--source={photos}", "--test_split=test"]


@pytest.fixture(scope="module")
def trained(arguments, tmp_path_factory):
    """Classifiers, fine-tuned as a whole and on a frozen backbone.

    Returns:
        `(folder, texts)`: the folder with the classifiers, and what was printed.
    """
    folder, texts = tmp_path_factory.mktemp("classifiers"), {}
    for name, flags in {
        "whole": ["--savedmodel", "--epochs=20", "--learning_rate=0.05"],
        "frozen": ["--freeze", "--learning_rate=0.5"],
    }.items():
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            out = folder / f"{name}.keras"
            assert main(["finetune", *arguments, f"--out={out}", *flags]) == 0
        texts[name] = stdout.getvalue()
    return folder, texts


def test_the_file_has_the_printed_accuracy_and_the_names(trained, photos):
    folder, texts = trained
    text, out = texts["whole"], folder / "whole.keras"
    assert "training on 18 images of 2 classes: split 'train'" in text
    assert "on 18 images\n" in text
    assert text.endswith(f"\n{out}\n{folder / 'whole'}\n")
    classifier = keras.models.load_model(out)
    assert classifier.class_names == ("dark", "light")
    files, images = pixels(photos / "test")
    probabilities = classifier.predict(images, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    hits = [
        file.parent.name == classifier.class_names[label]
        for file, label in zip(files, probabilities.argmax(axis=1), strict=True)
    ]
    assert np.mean(hits) == pytest.approx(accuracy(text), abs=1e-4)
    assert accuracy(text) > 0.9
    with pytest.raises(bt_keras.UsageError, match=r"\[0, 1\]"):
        classifier(255 * images)


def test_frozen_backbones_keep_their_weights(trained, module, photos):
    folder, _ = trained
    _, images = pixels(photos / "test")
    features = bt_keras.load_backbone(module)(images)
    for name, is_equal in {"frozen": True, "whole": False}.items():
        classifier = keras.models.load_model(folder / f"{name}.keras")
        inner = keras.Model(
            classifier.input, classifier.get_layer("features_float32").output
        )
        difference = np.abs(inner(images) - features).max()
        assert (difference < 1e-4) == is_equal, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "protocol", "evaluator"),
    [
        ([], ["--protocol=finetune", "--seeds=1"], "finetune"),
        (["--freeze"], ["--protocol=full"], "linear"),
    ],
)
def test_the_accuracy_is_that_of_the_evaluator(
    arguments, photos, copied, tmp_path, capsys, flags, protocol, evaluator
):
    out = f"--out={tmp_path / 'classifier.keras'}"
    assert main(["finetune", *arguments, out, *flags]) == 0
    found = accuracy(capsys.readouterr().out)
    source = [f"--workdir={copied}", f"--source={photos}"]
    assert main(["evaluate", *source, *protocol]) == 0
    [expected] = [
        result.value
        for result in results.read(copied / "results.csv")
        if (result.protocol, result.backbone) == (evaluator, "pretrained")
        and result.metric == "top1"
    ]
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_savedmodel_equals_the_file(trained, photos):
    folder, _ = trained
    assert not (folder / "frozen").exists()
    names = json.loads((folder / "whole/assets/class_names.json").read_text())
    assert names == ["dark", "light"]
    files, images = pixels(photos / "test")
    expected = keras.models.load_model(folder / "whole.keras")(images).numpy()
    module = tf.saved_model.load(folder / "whole")
    inputs = {
        "serving_default": images,
        "uint8": np.round(255 * images).astype("uint8"),
        "encoded": [file.read_bytes() for file in files],
    }
    for name, value in inputs.items():
        outputs = module.signatures[name](inputs=tf.constant(value))
        np.testing.assert_allclose(
            outputs["probabilities"], expected, rtol=1e-4, atol=1e-6, err_msg=name
        )
        labels = outputs["labels"].numpy().astype(str)
        assert labels.tolist() == [names[label] for label in expected.argmax(axis=1)]


@pytest.mark.slow  # Starts a process.
def test_the_savedmodel_loads_without_bt_keras(trained, photos, tmp_path):
    files, images = pixels(photos / "test")
    script, log = tmp_path / "script.py", tmp_path / "log"
    folder, _ = trained
    paths = [str(file) for file in files]
    script.write_text(SERVE.format(folder=str(folder / "whole"), files=paths))
    processes.finish([processes.start([script], log, cwd=tmp_path)], [log])
    expected = keras.models.load_model(folder / "whole.keras")(images)
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
    assert log.read_text().split()[-1] in ("dark", "light")


def test_images_without_a_split_for_testing_are_divided(
    module, photos, tmp_path, capsys
):
    arguments = [f"--module={module}", f"--source={photos / 'train'}", "--freeze"]
    out = f"--out={tmp_path / 'classifier.keras'}"
    assert main(["finetune", *arguments, out, "--held_out=0.3"]) == 0
    text = capsys.readouterr().out
    assert "training on 12 images" in text
    assert "testing on 6 images of 2 classes: split 'train, held out'" in text


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--out=x.h5"], ["x.h5", ".keras"]),
        (["--out=there.keras"], ["there.keras exists already"]),
        (["--out=there.npz.keras", "--savedmodel"], ["there.npz exists already"]),
        (["--freeze", "--head_learning_rate=1"], ["--head_learning_rate", "--freeze"]),
        (["--held_out=0.5"], ["--test_split or --held_out, not both"]),
        (["--held_out=1"], ["held_out"]),
        (["--epochs=0"], ["epochs"]),
        (["--learning_rate=0"], ["learning_rate"]),
        (["--train_split=other"], ["'other'"]),
        (["--learning_rate=1e12", *DIVERGING], ["diverged", "learning rate"]),
    ],
    ids=lambda value: value[0],
)
def test_bad_flags_are_one_line(arguments, tmp_path, monkeypatch, capsys, flags, parts):
    monkeypatch.chdir(tmp_path)
    for name in ("there.keras", "there.npz"):
        (tmp_path / name).touch()
    if not any(flag.startswith("--out") for flag in flags):
        flags = [*flags, "--out=classifier.keras"]
    one_error_line(capsys, ["finetune", *arguments, *flags], *parts)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there.keras", "there.npz"]


def test_images_that_cannot_train_a_classifier(module, photos, tmp_path, capsys):
    def fails(source, *parts, flags=()):
        out = tmp_path / "classifier.keras"
        given = [f"--module={module}", f"--source={source}", f"--out={out}", *flags]
        one_error_line(capsys, ["finetune", *given], *parts)
        assert not out.exists()

    fails(photos / "train" / "dark", "needs labels")
    fails(photos / "train", "no split 'val'", flags=["--test_split=val"])
    fails(photos, "are training images", flags=["--test_split=train"])
    one = tmp_path / "one"
    shutil.copytree(photos / "train" / "dark", one / "dark")
    fails(one, "at least two classes", "'dark'")
    copied = shutil.copytree(photos, tmp_path / "copied")
    shutil.rmtree(copied / "train" / "light")
    (copied / "train" / "light").mkdir()
    (copied / "train" / "light" / "text.png").write_text("no image")
    fails(copied, "text.png")
    fails(tmp_path / "nowhere", "nowhere")
