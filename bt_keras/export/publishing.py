"""Publish modules: collect what is sent to a host, and send it."""

from __future__ import annotations

import io
import os
from pathlib import Path

from bt_keras import system
from bt_keras.errors import UsageError, one_line
from bt_keras.export.export_backbone import CARD
from bt_keras.export.publisher import Publisher, Upload
from bt_keras.files import reading
from bt_keras.files.atomic import sha256
from bt_keras.files.scratch import scratch_folder
from bt_keras.hub import checksums, intact, saved_model_files
from bt_keras.hub import metadata as module_metadata


def prepare(publisher: Publisher, module: str | os.PathLike, handle: str) -> Upload:
    """Collects what is sent to a host; nothing is sent yet.

    Args:
        publisher: `Publisher`, the host.
        module: Path of an exported module.
        handle: String, the module's name on the host.

    Returns:
        An `Upload`.

    Raises:
        UsageError: If the handle is malformed, the module was not exported by bt_keras
            or is damaged, or it states no license where the host requires one.
    """
    publisher.check_handle(handle)
    metadata = module_metadata.read(module, module)
    spdx = metadata.license
    if publisher.requires_license and not spdx:
        raise UsageError(
            f"module {module} states no license, which {publisher.title} requires: "
            "export it with --license, such as --license=Apache-2.0."
        )
    module = Path(module)
    files = [path for path in system.entries(module) if path.is_file()]
    try:
        intact.check(module)
        changed = _changed(publisher, module, spdx)
        sizes = {f.relative_to(module).as_posix(): f.stat().st_size for f in files}
    except (OSError, ValueError) as error:
        raise UsageError(
            f"module {module} cannot be published: {one_line(error, None)}"
        ) from error
    sizes |= {name: len(contents) for name, contents in changed.items()}
    return Upload(
        handle=handle,
        module=module,
        license_name=publisher.license_name(spdx) if spdx else None,
        version_notes=(
            f"{metadata.name} pretrained with Barlow Twins, {metadata.feature_dim} "
            "features."
        ),
        changed=changed,
        files=sorted(sizes.items()),
    )


def publish(publisher: Publisher, upload: Upload) -> None:
    """Sends a module to a host.

    Args:
        publisher: `Publisher`, the host.
        upload: `Upload` of `prepare`.

    Raises:
        UsageError: If the host refuses it or the network fails.
    """
    publisher.check_login()
    with scratch_folder() as scratch:
        try:
            publisher.send(_with_changes(upload, scratch), upload)
        # The libraries of the hosts raise errors of their own and those of requests.
        except Exception as error:
            raise UsageError(
                f"{upload.handle} was not published: {one_line(error, None)}"
            ) from error


def _changed(publisher, module, spdx):
    """Returns the contents of files that are sent instead of those of the module."""
    path = module / CARD
    if not path.is_file():
        return {}
    text = reading.read_text(path)
    card = publisher.card(text, spdx)
    if card == text:
        return {}
    changed = {CARD: card.encode()}
    if checksums.is_present(module):
        digests = checksums.compute(module)
        digests[CARD] = sha256(io.BytesIO(changed[CARD]))
        changed[checksums.NAME] = checksums.text(digests).encode()
    return changed


def _with_changes(upload, scratch):
    """Returns a folder of what is sent: the module itself if nothing is changed."""
    if not upload.changed:
        return upload.module
    for name, _ in upload.files:
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in upload.changed:
            path.write_bytes(upload.changed[name])
        else:
            saved_model_files.link(upload.module / name, path)
    return scratch
