"""SHA256SUMS: what `sha256sum --check` reads."""

from pathlib import Path

from bt_keras.atomic import sha256

NAME = "SHA256SUMS"


def of(folder):
    """Returns dict, the digests of all files but SHA256SUMS by their relative names."""
    folder = Path(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {name: sha256(folder / name) for name in names if name != NAME}


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
