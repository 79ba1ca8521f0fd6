"""Zip files of PyTorch's format with any content."""

import zipfile


def archive(path, program, storages=(b"",), root="archive/", **more):
    """A zip file as torch.save makes it, with any pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{root}data.pkl", program)
        for key, content in enumerate(storages):
            file.writestr(f"{root}data/{key}", content)
        for name, content in more.items():
            file.writestr(root + name, content)
    return path
