"""The kinds of files: valid samples, how to change them, and what reads them."""

import io
import json
import shutil
from pathlib import Path

import numpy as np

from bt_keras.errors import UsageError
from tests.fuzz import mutations

REFERENCE = Path(__file__).parents[1] / "reference"


class Kind:
    """One kind of files.

    Attributes:
        suffix: str, the end of the file's name.
        changes: tuple of functions of `mutations`, of which each file gets one.
        errors: tuple of the exceptions that a reader may raise.
        count: int, how many files are read.
    """

    count = 2500
    suffix = ""
    changes = (mutations.mutate,)
    errors = (UsageError,)

    def samples(self, folder):
        """Returns valid files as a list of bytes; `folder` is an empty folder."""
        raise NotImplementedError

    def read(self, path):
        """Reads a file with every function of the library that does."""
        raise NotImplementedError


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


class Pth(Kind):
    """PyTorch's files, zip archives and streams."""

    suffix = ".pth"

    def samples(self, folder):
        names = ("tensors", "tensors_stream", "groups_by_name")
        return [(REFERENCE / f"{name}.pth").read_bytes() for name in names]

    def read(self, path):
        from bt_keras.convert import torch_checkpoint, weight_files

        tree = weight_files.load(path)
        if isinstance(tree, dict):
            with weight_files.prefix_errors(path):
                torch_checkpoint.split(tree)


class PthMembers(Pth):
    """The members of PyTorch's zip archives."""

    changes = (mutations.mutate_zip,)

    def samples(self, folder):
        return [
            (REFERENCE / f"{n}.pth").read_bytes() for n in ("tensors", "groups_by_name")
        ]


ARRAYS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "steps": np.array(7),
    "half": np.ones((3, 1), np.float16),
}


class Npz(Kind):
    """NumPy's files."""

    suffix = ".npz"
    changes = (mutations.mutate, mutations.mutate_zip, mutations.mutate_zip)

    def samples(self, folder):
        np.savez(folder / "a.npz", **ARRAYS)
        np.savez_compressed(folder / "b.npz", **ARRAYS)
        return [(folder / name).read_bytes() for name in ("a.npz", "b.npz")]

    read = Pth.read


class Safetensors(Kind):
    """Files of safetensors, and their JSON headers."""

    suffix = ".safetensors"

    changes = (mutations.mutate, mutations.mutate_safetensors)

    def samples(self, folder):
        import safetensors.numpy

        return [safetensors.numpy.save(ARRAYS), safetensors.numpy.save({})]

    read = Pth.read


class Metadata(Kind):
    """The JSON file of a module."""

    suffix = ".json"
    changes = (mutations.mutate, mutations.mutate_json, mutations.mutate_json)

    def samples(self, folder):
        path = REFERENCE.parent / "before" / "module" / "assets.extra" / "bt_keras.json"
        fields = json.loads(path.read_text(encoding="utf-8"))
        return [json.dumps({**fields, "license": "MIT"}).encode()]

    def read(self, path):
        from bt_keras.export import kaggle

        extra = path.parent / "module" / "assets.extra"
        extra.mkdir(parents=True)
        shutil.copyfile(path, extra / "bt_keras.json")
        kaggle.prepare(path.parent / "module", "me/model/tensorFlow2/tiny")


class Config(Kind):
    """The config of a run."""

    suffix = ".json"
    changes = Metadata.changes

    def samples(self, folder):
        from bt_keras import config

        return [config.to_json(config.default()).encode()]

    def read(self, path):
        from bt_keras import config
        from bt_keras.workdir import Workdir

        shutil.copyfile(path, path.parent / "config.json")
        workdir = Workdir(path.parent)
        config.check(workdir.config())
        workdir.check_config(config.default())


class Reports(Kind):
    """A run's export.json and a module's SHA256SUMS, which are compared or left out."""

    errors = ()
    changes = (mutations.mutate, mutations.mutate_json)

    def samples(self, folder):
        report = {"module": "runs/m", "passed": 3, "checks": 3}
        return [json.dumps(report).encode()]

    def read(self, path):
        from bt_keras.evaluation import report
        from bt_keras.hub import checksums

        report._export_lines(path)
        shutil.copyfile(path, path.parent / checksums.NAME)
        checksums.differing(path.parent)


class Sums(Reports):
    """SHA256SUMS as a text file."""

    changes = (mutations.mutate,)

    def samples(self, folder):
        from bt_keras.hub import checksums

        for name in ("a", "b"):
            (folder / name).write_text(name, encoding="utf-8")
        checksums.write(folder, checksums.compute(folder))
        return [(folder / checksums.NAME).read_bytes()]


class QueueEntry(Kind):
    """A run of a queue."""

    count = 500
    suffix = ".json"
    changes = Metadata.changes

    def samples(self, folder):
        queue = self._queue(folder)
        return [(queue.path / "entries" / "a.json").read_bytes()]

    def read(self, path):
        queue = self._queue(path.parent / "queue")
        try:
            shutil.copyfile(path, queue.path / "entries" / "a.json")
            queue.entry("a")
        finally:
            shutil.rmtree(queue.path)

    def _queue(self, folder):
        from bt_keras import config
        from bt_keras.studies.queue import Queue

        queue = Queue(folder)
        queue.add("a", config.default(), ("cached",))
        return queue


class QueueOutcome(QueueEntry):
    """How a run of a queue has ended."""

    def samples(self, folder):
        from bt_keras.studies.queue import Outcome

        queue = self._queue(folder)
        queue.record("a", Outcome("finished", 1.5, {"knn top1": 0.5}))
        return [(queue.path / "outcomes" / "a.json").read_bytes()]

    def read(self, path):
        from bt_keras.studies.queue import Outcome

        queue = self._queue(path.parent / "queue")
        try:
            queue.record("a", Outcome("finished"))
            shutil.copyfile(path, queue.path / "outcomes" / "a.json")
            queue.outcome("a")
        finally:
            shutil.rmtree(queue.path)


class Checkpoint(Kind):
    """Checkpoints of a run, in particular their progress."""

    count = 1000
    suffix = ".keras"

    changes = (mutations.mutate, mutations.mutate_zip, mutations.mutate_checkpoint)

    def samples(self, folder):
        import keras

        from bt_keras.checkpoint import store
        from bt_keras.checkpoint.progress import Progress

        path = folder / "epoch-0001.keras"
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.save(path)
        store.seal(path, Progress(4, 6, 6, 0, {"loss": (3.0, 2.0)}), [["v", [3, 4]]])
        return [path.read_bytes()]

    def read(self, path):
        from bt_keras.checkpoint import latest, store
        from bt_keras.convert import keras_source
        from bt_keras.workdir import Workdir

        checkpoints = path.parent / "checkpoints"
        checkpoints.mkdir(exist_ok=True)
        named = checkpoints / "epoch-0001.keras"
        shutil.copyfile(path, named)
        try:
            _, newest = latest.require_checkpoint(Workdir(path.parent))
            store.other_versions(newest)
        finally:
            keras_source.load_model(path, with_optimizer=False)


class Images(Kind):
    """Image files, as they are checked before a run."""

    errors = ()

    def samples(self, folder):
        from PIL import Image

        rng = np.random.default_rng(0)
        levels = rng.integers(0, 256, (13, 17, 3)).astype(np.uint8)
        image = Image.fromarray(levels)
        files = []
        for kind, mode, options in (
            ("JPEG", "RGB", {}),
            ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
            ("JPEG", "L", {}),
            ("JPEG", "CMYK", {}),
            ("BMP", "RGB", {}),
            ("BMP", "P", {}),
            ("GIF", "P", {}),
            ("WEBP", "RGB", {}),
            ("WEBP", "RGBA", {"lossless": True}),
            ("TIFF", "RGB", {"compression": "tiff_lzw"}),
            ("TIFF", "RGB", {"compression": "tiff_deflate"}),
            ("TIFF", "I;16", {}),
        ):
            file = io.BytesIO()
            image.convert("L" if mode == "I;16" else mode).convert(mode).save(
                file, kind, **options
            )
            files.append(file.getvalue())
        return files

    def read(self, path):
        from bt_keras.data.decode import check_image

        check_image(path.read_bytes())


class Bands(Images):
    """TIFF and NumPy's files of several bands."""

    def samples(self, folder):
        from tests.data import band_files, files

        levels = np.random.default_rng(0).integers(0, 256, (13, 17, 5)).astype(np.uint8)
        deep = levels.astype(np.uint16) * 9
        return [
            files.npy(levels),
            files.npy(deep),
            band_files.pages(levels, compression="tiff_lzw"),
            band_files.tiff(levels, ">", predictor=2),
            band_files.tiff(deep, big=True, separate=True, tile=(16, 16)),
        ]

    def read(self, path):
        from bt_keras.data.decode import check_image, largest_value

        size, _ = check_image(path.read_bytes(), 5)
        if size:
            largest_value(path.read_bytes(), 5)


class Png(Images):
    """PNG files with valid checksums."""

    changes = (mutations.mutate_png, mutations.mutate_png, mutations.mutate)

    def samples(self, folder):
        from PIL import Image

        rng = np.random.default_rng(0)
        levels = rng.integers(0, 256, (13, 17, 3)).astype(np.uint8)
        gray = Image.fromarray(levels[..., 0].astype(np.uint16) * 257)
        image = Image.fromarray(levels)
        images = [image, image.convert("P"), image.convert("RGBA"), gray]
        files = [io.BytesIO() for _ in images]
        for image, file in zip(images, files, strict=True):
            image.save(file, "PNG")
        return [file.getvalue() for file in files]


# The kinds that one process reads.
GROUPS = {
    "weights": (Pth(), PthMembers(), Npz(), Safetensors()),
    "modules": (Archive(), Metadata(), Sums()),
    "runs": (Config(), Reports(), QueueEntry(), QueueOutcome(), Checkpoint()),
    "images": (Images(), Png(), Bands()),
}
