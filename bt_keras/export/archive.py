"""`.tar.gz` files of modules, as hosts of TensorFlow Hub serve them."""

import gzip
import tarfile
from pathlib import Path

from bt_keras import atomic

# 1980-01-02: zip files, such as Keras's, cannot say of an earlier time.
_TIME = 315_619_200


def pack(folder, path):
    """Packs a module; the same files give the same bytes.

    Args:
        folder: path of a module.
        path: path of the `.tar.gz` to write, whole or not at all.

    Raises:
        UsageError: if it is there already or cannot be written.
    """
    folder = Path(folder)
    with (
        atomic.atomic_file(path) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for member in sorted(folder.rglob("*")):
            tar.add(member, member.relative_to(folder), False, filter=_anonymous)


def _anonymous(member):
    """Without what differs from one machine, or second, to the next."""
    member.uid = member.gid = 0
    member.mtime = _TIME
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
