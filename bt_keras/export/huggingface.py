"""Model repositories of Hugging Face."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bt_keras import extras
from bt_keras.errors import UsageError
from bt_keras.export.publisher import Publisher, Upload

# A part begins and ends with a letter, a digit or `_`, and has no two of `-` and `.` in
# a row.
_NAME = r"[A-Za-z0-9_]+(?:[-.][A-Za-z0-9_]+)*"
_LONGEST = 96
# The licenses whose names on Hugging Face are their SPDX names in lower case.
_LICENSES = (
    *("agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause"),
    *("cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nd-4.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0", "gpl-3.0", "isc"),
    *("lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "unlicense", "zlib"),
)
_OTHER = "other"
# The line of the license in the front matter of a model card.
_LICENSE_LINE = re.compile(r"\A(---\n(?:(?!---$).*\n)*?)license:.*$", re.MULTILINE)
# That of the data set.
_DATASETS_LINE = re.compile(
    r"\A(---\n(?:(?!---$).*\n)*?)datasets: \[\"(.*)\"\]\n", re.MULTILINE
)


class HuggingFace(Publisher):
    """Sends modules with huggingface_hub; a repository that is new is private."""

    title = "Hugging Face"
    handle = "OWNER/MODEL"
    pattern = re.compile(rf"(?=.{{3,{_LONGEST}}}\Z){_NAME}/{_NAME}(?<!\.git)")
    characters = (
        f"letters, digits, underscores, single dashes and dots, {_LONGEST} in all"
    )
    requires_license = False

    def check_login(self) -> None:
        packages = {"huggingface_hub": "huggingface_hub"}
        extras.require("--publish=huggingface", "huggingface", packages)
        import huggingface_hub

        if not huggingface_hub.get_token():
            raise UsageError(
                "there is no token of Hugging Face: log in with `hf auth login`, or "
                "set HF_TOKEN to a token that may write."
            )

    def license_name(self, spdx: str) -> str:
        name = spdx.lower().removesuffix("-only")
        return name if name in _LICENSES else _OTHER

    def card(self, text: str, spdx: str | None) -> str:
        """Changes what Hugging Face refuses: names of licenses and of data sets.

        The license gets its name there; a folder of images is no data set.
        """
        dataset = _DATASETS_LINE.search(text)
        if dataset and not re.fullmatch(f"{_NAME}(?:/{_NAME})?", dataset[2]):
            text = text[: dataset.end(1)] + text[dataset.end() :]
        if not spdx:
            return text  # The card says "unknown", which it accepts.
        line = f"license: {self.license_name(spdx)}"
        if self.license_name(spdx) == _OTHER:
            line += f"\nlicense_name: {json.dumps(spdx.lower())}"
        return _LICENSE_LINE.sub(lambda found: found[1] + line, text, count=1)

    def send(self, folder: Path, upload: Upload) -> None:
        import huggingface_hub

        api = huggingface_hub.HfApi()
        api.create_repo(upload.handle, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=upload.handle,
            folder_path=folder,
            commit_message=upload.version_notes,
            # An earlier version may have files that this one has not.
            delete_patterns="*",
        )
