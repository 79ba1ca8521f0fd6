"""Pairs of views per second, up to batches in memory.

python -m benchmarks.views
"""

import tempfile
from pathlib import Path

from benchmarks import inputs, machine, options, table, turns

_IMAGENET = {"recipe": "imagenet", "size": 224, "batch": 64}
_SMALL = {"recipe": "small", "size": 32, "batch": 256}
_JPEG = "224 px from JPEG files of about 500x375"
CASES = {
    "224 px from 256 px arrays": {**_IMAGENET, "images": 512, "source": 256},
    _JPEG: {**_IMAGENET, "images": 512, "source": "jpeg"},
    "32 px, no blur, from 32 px arrays": {**_SMALL, "images": 8192, "source": 32},
}
# What the host sends to a GPU: views, or crops that the step finishes.
_OURS = {
    "bt_keras": {},
    "bt_keras, without finishing": {"finish_on_device": True},
}
_QUICK = {"images": 32, "batch": 8}


def main():
    values = options.parse(options.parser(__doc__, seconds=10.0))
    cases = options.select_cases(CASES, values)
    machine.describe(values.peer_python)
    table.header("bytes per pair")
    for name, case in cases:
        if values.quick:
            case = case | _QUICK
        with tempfile.TemporaryDirectory() as folder:
            case = {**case, "path": _write(case, Path(folder))}
            case["lead_in"] = 0.1 if values.quick else 3.0
            sides = [
                *(
                    options.ours("views", case | {"options": views}, side)
                    for side, views in _OURS.items()
                ),
                options.peer("views", case, "torchvision", values),
            ]
            table.rows(name, turns.take_turns(sides, values), table.PAIRS, _sent)


def _sent(result):
    return f"{result.extra['bytes']:,.0f}" if "bytes" in result.extra else ""


def _write(case, folder):
    """Writes the images for both sides; returns their path."""
    if case["source"] == "jpeg":
        inputs.write_jpegs(folder, case["images"])
        return str(folder)
    path = folder / "images.npy"
    inputs.write_arrays(path, case["images"], case["source"])
    return str(path)


if __name__ == "__main__":
    main()
