"""SHA256SUMS: what `sha256sum --check` reads."""

import hashlib
from pathlib import Path

NAME = "SHA256SUMS"
_CHUNK = 2**22


def of(folder):
    """Returns dict, the digests of all files but SHA256SUMS by their relative names."""
    folder = Path(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {name: digest(folder / name) for name in names if name != NAME}


def write(folder):
    """Writes SHA256SUMS of all other files of a folder into it."""
    lines = [f"{digest}  {name}\n" for name, digest in of(folder).items()]
    Path(folder, NAME).write_text("".join(lines))


def differing(folder):
    """Compares a folder with its SHA256SUMS.

    Returns:
        list of str, the names of files that are missing, changed, or not listed;
        None where there is no SHA256SUMS.
    """
    path = Path(folder, NAME)
    if not path.is_file():
        return None
    lines = (line.split("  ", 1) for line in path.read_text().splitlines())
    listed = {name: digest for digest, name in lines}
    found = of(folder)
    names = listed.keys() | found.keys()
    return sorted(name for name in names if listed.get(name) != found.get(name))


def digest(path):
    """Returns str, the SHA-256 of a file."""
    path = Path(path)
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()
