"""Check that a run resumes on the images that it began with."""

from __future__ import annotations

import json
import os

from bt_keras.data.source import Source
from bt_keras.errors import UsageError
from bt_keras.files import reading
from bt_keras.workdir import Workdir

FLAG = "--allow_other_images"


def check(workdir: Workdir, source: Source) -> None:
    """Checks that the images of a run are those that it began with.

    Args:
        workdir: `Workdir` of a run that has a checkpoint.
        source: `Source`, the images to resume with.

    Raises:
        UsageError: If they differ in number, order, names or sizes. A run that did not
            record its images passes, and so does a source without a digest.
    """
    if source.digest is None or not os.path.lexists(workdir.images_file):
        return
    before, now = _recorded(workdir), _description(source)
    if before["digest"] != now["digest"]:
        raise UsageError(
            f"workdir {workdir.path} belongs to a run on other images: it began with "
            f"{_text(before)}; {source.name!r} now has {_text(now)}. Restore the "
            f"images, take another --workdir, or resume with {FLAG}."
        )


def record(workdir: Workdir, source: Source) -> None:
    """Writes down the images that a run trains on from now on.

    Args:
        workdir: `Workdir` of the run.
        source: `Source`, the images.
    """
    if source.digest is not None:
        workdir.replace(workdir.images_file, json.dumps(_description(source)) + "\n")


def digest_number(source: Source) -> int:
    """Returns the digest as an integer that workers can compare, 0 if it is unknown."""
    return int((source.digest or "0")[:15], 16)


def _description(source):
    return {"images": source.num_images, "digest": source.digest}


def _text(description):
    return f"{description['images']} images (names and sizes {description['digest']})"


def _recorded(workdir):
    advice = f"restore it, or resume on any images with {FLAG}, which writes a new one"
    with reading.reporting_damage(workdir.images_file, advice):
        recorded = reading.read_json_object(workdir.images_file)
        return {key: recorded[key] for key in ("images", "digest")}
