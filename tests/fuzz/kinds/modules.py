"""Modules: archives and metadata."""

import json
import shutil
from pathlib import Path

from tests.fuzz import mutations
from tests.fuzz.kinds.kind import JSON_CHANGES, Kind

_MODULE = Path(__file__).parents[2] / "before" / "module"


class Archive(Kind):
    """A module's `.tar.gz`, up to the point where TensorFlow would load it."""

    count = 2000
    suffix = ".tar.gz"
    changes = (mutations.mutate, mutations.mutate_tar, mutations.mutate_tar)

    def samples(self, folder):
        import tarfile

        from bt_keras.export import archive
        from bt_keras.hub import checksums

        module = folder / "module"
        for name in ("saved_model.pb", "variables/variables.index", "é" * 60, "README"):
            (module / name).parent.mkdir(parents=True, exist_ok=True)
            (module / name).write_bytes(b"data of " + name.encode() * 9)
        checksums.write(module, checksums.compute(module))
        archive.pack(module, folder / "a.tar.gz")
        with tarfile.open(
            folder / "b.tar.gz", "w:gz", format=tarfile.GNU_FORMAT
        ) as tar:
            tar.add(module, "module")
        return [(folder / f"{name}.tar.gz").read_bytes() for name in "ab"]

    def read(self, path):
        from bt_keras.hub import checksums, resolve

        target = path.parent / "target"
        target.mkdir()
        try:
            resolve.resolve(path, target)
            checksums.differing(target)
        finally:
            shutil.rmtree(target)


class Metadata(Kind):
    """The JSON file of a module."""

    suffix = ".json"
    changes = JSON_CHANGES

    def samples(self, folder):
        path = _MODULE / "assets.extra" / "bt_keras.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        return [json.dumps({**fields, "license": "MIT"}).encode()]

    def read(self, path):
        from bt_keras.export import publishing
        from bt_keras.export.publishers import PUBLISHERS

        extra = path.parent / "module" / "assets.extra"
        extra.mkdir(parents=True)
        shutil.copyfile(path, extra / "bt_keras.json")
        module, handle = path.parent / "module", "me/model/tensorFlow2/tiny"
        publishing.prepare(PUBLISHERS["kaggle"], module, handle)
