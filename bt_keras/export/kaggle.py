"""Kaggle Models, the successor of tfhub.dev."""

from __future__ import annotations

import re
from pathlib import Path

from bt_keras.export.publisher import Publisher, Upload

_SLUG = "[A-Za-z0-9][A-Za-z0-9-]*"
# Kaggle's names for licenses, by their SPDX names.
_LICENSES = {
    "Apache-2.0": "Apache 2.0",
    "CC-BY-4.0": "Attribution 4.0 International (CC BY 4.0)",
    "CC0-1.0": "CC0: Public Domain",
}


class Kaggle(Publisher):
    """Sends modules with kagglehub; a model that does not exist yet is private."""

    title = "Kaggle Models"
    # tensorFlow2 is Kaggle's name for SavedModels.
    handle = "OWNER/MODEL/tensorFlow2/VARIATION"
    pattern = re.compile(f"{_SLUG}/{_SLUG}/(?i:tensorFlow2)/{_SLUG}")
    characters = "letters, digits and dashes"
    requires_license = True

    def license_name(self, spdx: str) -> str:
        return _LICENSES.get(spdx, spdx)

    def send(self, folder: Path, upload: Upload) -> None:
        import kagglehub  # Imported late: it takes a second.

        kagglehub.model_upload(
            upload.handle,
            str(folder),
            license_name=upload.license_name,
            version_notes=upload.version_notes,
        )
