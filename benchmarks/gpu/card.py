"""The card: its name and memory as `nvidia-smi` prints them, before TensorFlow starts.

TensorFlow tells the memory of a GPU only after it has started, when the GPU can no
longer be divided. Needs only the standard library.
"""

import subprocess

# The rest is left to the driver, to CUDA's libraries and to their workspaces.
_SHARE = 0.85


def query(*fields):
    """Asks for properties of all cards.

    Args:
        *fields: Strings, names of `nvidia-smi --help-query-gpu`.

    Returns:
        List of a string for each card, its values separated by commas; empty if there
        is no `nvidia-smi`, or it finds no card.
    """
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return run.stdout.splitlines()


def name():
    """Returns the name, memory and driver of the first card, or "no GPU"."""
    return (query("name", "memory.total", "driver_version") or ["no GPU"])[0]


def memory_of_each(count):
    """Returns the memory in MB that each of `count` logical GPUs of a card may take.

    Raises:
        RuntimeError: If the memory of the card is unknown.
    """
    sizes = [size.split()[0] for size in query("memory.total") if size.split()]
    # Of several cards, which may differ, TensorFlow may see any one.
    known = [int(size) for size in sizes if size.isdigit()]
    if not known:
        raise RuntimeError("nvidia-smi does not tell the memory of the card")
    return int(_SHARE * min(known)) // count
