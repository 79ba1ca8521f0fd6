"""Files in TensorFlow's file system in memory, in place of a bucket."""

from pathlib import Path

import tensorflow as tf


def upload(folder, name):
    """Copies a file or a folder; returns its path, which begins with ram://."""
    target = f"ram://{name}"
    folder = Path(folder)
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    for path in files or [folder]:
        remote = f"{target}/{path.relative_to(folder).as_posix()}".removesuffix("/.")
        tf.io.gfile.makedirs(remote.rsplit("/", 1)[0])
        with tf.io.gfile.GFile(remote, "wb") as file:
            file.write(path.read_bytes())
    return target
