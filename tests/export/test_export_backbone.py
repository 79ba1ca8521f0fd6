import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
import bt_keras.config
from bt_keras.export import model_card
from bt_keras.hub import checksums, metadata
from tests.conftest import relative_error
from tests.exported import small_model


def test_an_existing_folder_is_not_replaced(tmp_path):
    backbone = small_model().backbone
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(bt_keras.UsageError, match="not empty"):
        bt_keras.export_backbone(backbone, tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(bt_keras.UsageError, match="cannot be written"):
        bt_keras.export_backbone(backbone, tmp_path / "file" / "module")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "notes.txt"]


def test_a_backbone_has_no_projector(tmp_path):
    with pytest.raises(bt_keras.UsageError, match="without a projector"):
        bt_keras.export_backbone(
            small_model().backbone, tmp_path / "module", projector=True
        )
    assert not (tmp_path / "module").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"images": [np.zeros((8, 8), "uint8")]}, "images must be uint8"),
        ({"images": [np.zeros((8, 8, 3), "float32")]}, "images must be uint8"),
        ({"image_size": -1}, "image_size=-1"),
        ({"resize_ratio": 0.5}, "resize_ratio=0.5"),
        ({"about": {"licence": "MIT"}}, "'licence'.*config, epochs.*license"),
    ],
)
def test_errors_name_the_argument(tmp_path, options, part):
    with pytest.raises(bt_keras.UsageError, match=part):
        bt_keras.export_backbone(small_model(), tmp_path / "module", **options)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checksums, "write", full)
    with pytest.raises(bt_keras.UsageError, match="No space left"):
        bt_keras.export_backbone(small_model(), tmp_path / "module", image_size=32)
    assert not list(tmp_path.iterdir())


def test_a_subclassed_model(tmp_path):
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(4, 3)

        def call(self, images):
            return keras.ops.mean(self.conv(images), axis=(1, 2))

    backbone = Custom()
    backbone(np.zeros((1, 16, 16, 3), "float32"))
    bt_keras.export_backbone(backbone, tmp_path / "module", image_size=16)
    with pytest.warns(UserWarning, match="'Custom' is unknown.*graph is loaded"):
        layer = bt_keras.load_backbone(tmp_path / "module")
    assert layer(np.zeros((2, 20, 20, 3), "float32")).shape == (2, 4)
    with pytest.raises(bt_keras.UsageError, match="architecture"):
        bt_keras.hub.read_backbone(tmp_path / "module")


def test_sha256sums_lists_changed_new_and_missing_files(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "module")
    assert checksums.differing(folder) == []
    (folder / "saved_model.pb").write_bytes(b"other")
    (folder / "new.txt").write_text("more")
    (folder / "assets.extra" / "sample-00.png").unlink()
    names = ["assets.extra/sample-00.png", "new.txt", "saved_model.pb"]
    assert checksums.differing(folder) == names


def test_the_card_of_a_model_without_a_run(exported):
    assert checksums.differing(exported.folder) == []
    text = (exported.folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.splitlines())
    assert fields["library_name"] == "tensorflow"
    assert fields["license"] == '"unknown"'
    sums = checksums.compute(exported.folder)
    del sums["README.md"]
    for part in (
        'hub.load("module")',
        "hub.KerasLayer",
        "bt_keras.load_backbone",
        "tf.saved_model.load",
        '"encoded"',
        "module.projector",
        *sums.values(),
    ):
        assert part in body, part


def test_the_python_code_of_the_card_runs(exported, monkeypatch):
    monkeypatch.chdir(exported.folder.parent)
    png = tf.io.encode_png(exported.levels[0]).numpy()
    levels = tf.constant(exported.levels)
    images = tf.constant(exported.images)
    names = {"images": images, "levels": levels, "contents": png}
    text = (exported.folder / "README.md").read_text()
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "card", "exec"), names)
    assert relative_error(names["features"], exported.features()) < 1e-5
    assert names["contents_of_tflite"][4:8] == b"TFL3"


def test_the_card_of_a_run_has_its_config_and_results(exported):
    described = metadata.read(exported.folder, "module")
    row = {
        "backbone": "pretrained",
        "epoch": "6",
        "evaluator": "knn",
        "source": "shipped",
        "settings": "k=200",
        "metric": "top1",
        "value": 0.7145,
        "test_images": "2000",
    }
    config = bt_keras.config.default()
    config.views.b = {"rotate": 0.75, "sigma": (0.1, 1.0)}
    config = config.to_dict()
    about = {"config": config, "epochs": "6", "steps": 468, "results": [row]}
    described = dataclasses.replace(described, **about, license="Apache-2.0")
    text = model_card.render(described, {})
    for part in (
        'license: "Apache-2.0"',
        'datasets: ["imagenet2012"]',
        "metrics: [accuracy]",
        'model-index: [{"name": "resnet10"',
        "on `imagenet2012` by bt_keras",
        "| `imagenet`, 224 pixels; b: rotate 0.75, sigma (0.1, 1.0) |",
        "| backbone | ResNet-50, width 1, imagenet stem |",
        "8192, 8192, 8192",
        "| 6, 468 |",
        "71.45",
    ):
        assert part in text, part
    config["backbone"]["features"] = 4096
    text = model_card.render(dataclasses.replace(described, config=config), {})
    assert "imagenet stem, 4,096 features by a 1x1 convolution |" in text
    del config["backbone"]["features"]  # As in modules of earlier releases.
    text = model_card.render(dataclasses.replace(described, config=config), {})
    assert "| backbone | ResNet-50, width 1, imagenet stem |" in text


def test_a_network_with_features_of_its_own_is_loaded_again(tmp_path):
    backbone = bt_keras.resnet(18, width=0.05, stem="cifar", features=40)
    for variable in backbone.variables:
        if len(variable.shape) == 1:
            variable.assign(np.linspace(0.5, 1.5, variable.shape[0]))
    bt_keras.export_backbone(backbone, tmp_path / "module", image_size=16)
    backbone.save(tmp_path / "backbone.keras")
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    expected = backbone(images, training=False)
    assert expected.shape == (2, 40)
    rebuilt, _ = bt_keras.hub.read_backbone(tmp_path / "module")
    for loaded in (rebuilt, keras.saving.load_model(tmp_path / "backbone.keras")):
        assert relative_error(loaded(images, training=False), expected) < 1e-6
    network = bt_keras.load_backbone(tmp_path / "module", return_endpoints=True)
    levels = np.zeros((2, 16, 16, 3), "float32")
    assert network(levels)["stride8"].shape == (2, 2, 2, 40)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (
            {"config": {"epochs": 2}},
            "its config lacks backbone.depth; pass the run's whole",
        ),
        ({"config": {"data": 3}}, "data is 3"),
        ({"config": [1]}, "about is not valid"),
        ({"config": {"x": {1, 2}}}, "about is not valid"),
        ({"epochs": 2}, "epochs is 2"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"results": [{"metric": "top1"}]}, "about is not valid: 'settings'"),
        ({"results": "none"}, "about is not valid"),
        ({"limits": "none"}, "limits is 'none'"),
        ({"published": 3}, "published is 3"),
    ],
)
def test_a_description_of_another_form_is_one_line(tmp_path, about, message):
    with pytest.raises(bt_keras.UsageError, match=message) as error:
        bt_keras.export_backbone(small_model(), tmp_path / "module", about=about)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
