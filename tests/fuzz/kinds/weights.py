"""Weights of other libraries."""

from pathlib import Path

import numpy as np

from tests.fuzz import mutations
from tests.fuzz.kinds.kind import Kind

REFERENCE = Path(__file__).parents[2] / "reference"


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
