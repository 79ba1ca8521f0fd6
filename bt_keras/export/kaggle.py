"""Publishing on Kaggle Models, where TensorFlow Hub's modules live now.

publication/
    model-metadata.json                    of the model
    tensorFlow2/VARIATION/
        model-instance-metadata.json       of this variation of it
        saved_model.pb, variables/, ...    the module
"""

import json
import os
import re
import shutil
from pathlib import Path

from bt_keras import atomic
from bt_keras.errors import UsageError, one_line
from bt_keras.hub import metadata

# TensorFlow 2's SavedModels go by this name there.
FRAMEWORK = "tensorFlow2"
_MODEL_FILE = "model-metadata.json"
_INSTANCE_FILE = "model-instance-metadata.json"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
# Kaggle's own names for what SPDX calls otherwise.
_LICENSES = {
    "Apache-2.0": "Apache 2.0",
    "CC-BY-4.0": "Attribution 4.0 International (CC BY 4.0)",
    "CC0-1.0": "CC0: Public Domain",
}


def parse(handle):
    """Splits `OWNER/MODEL/tensorFlow2/VARIATION`.

    Returns:
        `(owner, model, variation)`.

    Raises:
        UsageError: if it is not of this form.
    """
    parts = (handle or "").split("/")
    if (
        len(parts) != 4
        or parts[2].lower() != FRAMEWORK.lower()
        or not all(_SLUG.fullmatch(part) for part in parts)
    ):
        raise UsageError(
            f"--handle={handle} is not OWNER/MODEL/{FRAMEWORK}/VARIATION, each of "
            "letters, digits and dashes."
        )
    return parts[0], parts[1], parts[3]


def lay_out(module, handle, target):
    """Makes the folder that Kaggle Models takes, of a module.

    Args:
        module: path of an exported module.
        handle: str, `OWNER/MODEL/tensorFlow2/VARIATION`.
        target: path of a folder that does not exist yet or is empty, or of what this
            function made for the same handle before, which is replaced.

    Returns:
        path of the variation's folder within.

    Raises:
        UsageError: for a handle of another form, a module that bt_keras did not export
            or that states no licence, or a target that cannot be written.
    """
    owner, model, variation = parse(handle)
    known = metadata.read(module, module)
    if not known.get("license"):
        raise UsageError(
            f"module {module} states no licence, which Kaggle asks for: export it with "
            "--license, such as --license=Apache-2.0."
        )
    fields = _model(owner, model, module)
    if _is_of(target, fields, variation):
        shutil.rmtree(target)
    with atomic.atomic_directory(target) as temporary:
        _write(temporary / _MODEL_FILE, fields)
        folder = temporary / FRAMEWORK / variation
        shutil.copytree(module, folder)
        instance = _instance(owner, model, variation, known)
        _write(folder / _INSTANCE_FILE, instance)
    return Path(target) / FRAMEWORK / variation


def _is_of(target, fields, variation):
    """Whether a folder was laid out for this model of this owner, and holds no more."""
    try:
        if os.listdir(Path(target, FRAMEWORK)) != [variation]:
            return False
        known = json.loads(Path(target, _MODEL_FILE).read_text())
        return all(known[key] == fields[key] for key in ("ownerSlug", "slug"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def listing(folder):
    """Lists what would be sent: (relative name, bytes) of every file."""
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
    return [
        (path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in files
        if path.name != _INSTANCE_FILE
    ]


def publish(folder, handle):
    """Sends a variation's folder to Kaggle through kagglehub.

    Args:
        folder: path, what `lay_out` returned.
        handle: str, `OWNER/MODEL/tensorFlow2/VARIATION`.

    Raises:
        UsageError: if Kaggle or the network refuses it.
    """
    import kagglehub

    instance = json.loads(Path(folder, _INSTANCE_FILE).read_text())
    try:
        kagglehub.model_upload(
            handle,
            str(folder),
            license_name=instance["licenseName"],
            version_notes=instance["overview"],
            ignore_patterns=[_INSTANCE_FILE],
        )
    # kagglehub has errors of its own, and those of requests.
    except Exception as error:
        reason = one_line(error, None)
        raise UsageError(
            f"{handle} was not published: {reason}. The folder {folder} is kept."
        ) from error


def _model(owner, model, module):
    return {
        "ownerSlug": owner,
        "title": model,
        "slug": model,
        "subtitle": "",
        "isPrivate": True,
        "description": Path(module, "README.md").read_text(),
        "publishTime": "",
        "provenanceSources": "",
    }


def _instance(owner, model, variation, known):
    config = known.get("config")
    return {
        "ownerSlug": owner,
        "modelSlug": model,
        "instanceSlug": variation,
        "framework": FRAMEWORK,
        "overview": (
            f"{known['name']} pretrained with Barlow Twins, "
            f"{known['feature_dim']} features."
        ),
        "usage": (
            "```python\nimport tensorflow_hub as hub\n"
            'features = hub.load("${PATH}")(images)  # float32 in [0, 1]\n```\n'
        ),
        "licenseName": _LICENSES.get(known["license"], known["license"]),
        "fineTunable": True,
        "trainingData": [config["data"]["source"]] if config else [],
        "modelInstanceType": "Base Model",
        "baseModelInstance": "",
        "externalBaseModelUrl": "",
    }


def _write(path, fields):
    path.write_text(json.dumps(fields, indent=2) + "\n")
