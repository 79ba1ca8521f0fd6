"""Builds pickles and PyTorch zip files byte by byte, valid or not."""

import zipfile

from bt_keras.convert.pth import writer
from tests.conftest import REFERENCE

START = b"\x80\x02"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def archive(path, program, storages=(b"",), root="archive/", **members):
    """Writes a zip file as `torch.save` does, with the given pickle.

    Args:
        path: path of the file.
        program: bytes, the pickle.
        storages: sequence of bytes, the content of storage "0", "1", ...
        root: str, the folder in the archive.
        members: content of other files in it, by name.

    Returns:
        The path.
    """
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{root}data.pkl", program)
        for key, content in enumerate(storages):
            file.writestr(f"{root}data/{key}", content)
        for name, content in members.items():
            file.writestr(root + name, content)
    return path


def stream_start():
    """The bytes of a stream before its data: magic number, version and system."""
    return (REFERENCE / "tensors_stream.pth").read_bytes()[:137]


def tensor(count, *arguments, key="0"):
    """Opcodes that push a float32 tensor in a storage of `count` elements."""
    head = writer._str("storage") + b"ctorch\nFloatStorage\n"
    tail = writer._str(key) + writer._str("cpu") + writer._int(count)
    storage = b"(" + head + tail + b"tQ"
    return TENSOR + b"(" + storage + b"".join(arguments) + b"tR"


def view(shape, strides, offset=0):
    """Opcodes of a tensor's arguments after its storage."""
    sizes = [b"".join(map(writer._int, ints)) for ints in (shape, strides)]
    return writer._int(offset) + b"(" + sizes[0] + b"t(" + sizes[1] + b"t\x89N"
