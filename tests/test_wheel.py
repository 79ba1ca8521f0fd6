"""The wheel in a fresh environment: every command, outside of the checkout."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from export import records
from tests import tiny
from tests.markdown import ROOT

# All that the build reads; it also writes into this folder.
_SOURCES = (
    "bt_keras",
    "configs",
    "export",
    "setup.cfg",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
_SMALL = {
    "epochs": 1,
    "views.size": 8,
    "backbone.width": 0.1,
    "projector": "(8,8)",
    "optimizer.warmup_epochs": 0.0,
    "evaluation.linear.epochs": 1,
    "evaluation.finetune.epochs": 1,
}


def _run(arguments, cwd):
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        env={**variables, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{arguments}\n{done.stdout[-999:]}{done.stderr[-999:]}"
    )
    return done.stdout


def _build(folder):
    """Builds the wheel from a copy of the checkout."""
    copied = folder / "checkout"
    copied.mkdir()
    for name in _SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, copied / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    _run([*pip, "--no-build-isolation", "--wheel-dir", folder, copied], folder)
    [wheel] = folder.glob("*.whl")
    shutil.rmtree(copied)
    return wheel


def _environment(folder, wheel):
    """Installs the wheel; the requirements are those of the running Python."""
    venv.create(folder, symlinks=os.name != "nt")
    [site] = folder.glob("[Ll]ib/**/site-packages")
    requirements = [path for path in sys.path if path.endswith("site-packages")]
    (site / "requirements.pth").write_text("\n".join(requirements))
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install"]
    _run([*pip, "--quiet", "--no-deps", "--no-index", wheel], folder)
    return scripts


# Prints the largest difference between the features of a published model and those that
# its module has recorded.
_PUBLISHED = """
import numpy as np, sys, tarfile
import bt_keras
from bt_keras import published_models

name = sys.argv[1]
path = published_models.find(name)
assert path.is_relative_to(bt_keras.__path__[0]), path
with tarfile.open(path) as tar:
    sample = dict(np.load(tar.extractfile("assets.extra/sample.npz")))
features = bt_keras.load_backbone(name)(sample["images"] / np.float32(255)).numpy()
print(float(abs(features - sample["features"]).max() / abs(sample["features"]).max()))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return _build(tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow  # Builds a wheel.
def test_published_models_load_by_name_from_the_wheel(wheel, tmp_path):
    scripts = _environment(tmp_path / "environment", wheel)
    for name in records.built():
        process = [scripts / "python", "-c", _PUBLISHED, name]
        assert float(_run(process, tmp_path)) < 1e-4


@pytest.mark.slow  # Builds a wheel and starts six commands.
def test_all_commands_run_from_the_wheel(wheel, tmp_path):
    scripts = _environment(tmp_path / "environment", wheel)
    where = [scripts / "python", "-c", "import bt_keras; print(bt_keras.__file__)"]
    assert Path(_run(where, tmp_path)).is_relative_to(tmp_path / "environment")
    tiny.write_images(tmp_path / "photos", size=8)

    def command(*arguments):
        return _run([scripts / "bt-keras", *arguments], tmp_path)

    fields = [f"--config.{name}={value}" for name, value in _SMALL.items()]
    command("pretrain", "--config=demo", "--workdir=run", *fields)
    assert "linear_cached" in command("evaluate", "--workdir=run")
    assert "linear_cached" in command("report", "--workdir=run")
    assert "checks passed" in command("export", "--workdir=run", "--out=module")
    images = ["--module=module", "--source=photos"]
    out = "--out=classifier.keras"
    text = command("finetune", *images, "--test_split=test", out, "--savedmodel")
    assert "held-out accuracy" in text
    command("embed", *images, "--out=features.npz")
    assert len(np.load(tmp_path / "features.npz")["features"]) == 18
    for name in ("classifier.keras", "classifier/saved_model.pb", "run/results.csv"):
        assert (tmp_path / name).is_file(), name
