"""What the hosts that modules are published on have in common."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from bt_keras.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Upload:
    """Everything that is sent to a host.

    Args:
        handle: String, the name of the module on the host.
        module: Path of the module.
        license_name: String, the host's name of the license, or `None`.
        version_notes: String, a one-line description of this version.
        changed: Mapping from the names of files to the bytes that are sent instead of
            those in the module.
        files: List of `(name, size)`, what is sent with its bytes.
    """

    handle: str
    module: Path
    license_name: str | None
    version_notes: str
    changed: Mapping[str, bytes]
    files: list[tuple[str, int]]


class Publisher(abc.ABC):
    """A host of modules. Subclasses are listed in `publishers`.

    Attributes:
        title: String, the host's name, for messages.
        handle: String, the form of a module's name there.
        pattern: Compiled pattern that such names match.
        characters: String, what the parts of a name consist of, for messages.
        requires_license: Boolean, whether a module must state its license.
    """

    title: str
    handle: str
    pattern: re.Pattern
    characters: str
    requires_license: bool

    def check_handle(self, handle: str | None) -> None:
        """Raises `UsageError` unless a module can have this name on the host."""
        if not self.pattern.fullmatch(handle or ""):
            raise UsageError(
                f"--handle={handle} must be {self.handle}, each part of "
                f"{self.characters}."
            )

    def check_login(self) -> None:  # noqa: B027
        """Raises `UsageError` if it is known that nothing can be sent."""

    def license_name(self, spdx: str) -> str:
        """Returns the host's name of a license, from its SPDX name."""
        return spdx

    def card(self, text: str, spdx: str | None) -> str:
        """Returns the model card as the host needs it.

        Args:
            text: String, the module's README.md.
            spdx: String, the SPDX name of the license, or `None`.
        """
        return text

    @abc.abstractmethod
    def send(self, folder: Path, upload: Upload) -> None:
        """Sends the files of a folder to the host.

        Args:
            folder: Path of a folder with the files of `upload`.
            upload: `Upload`.

        Raises:
            Exception: Whatever the host's library raises.
        """
