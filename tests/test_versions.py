"""The lower bounds of the requirements are the versions of `make test-lowest`."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Programs, which `make test-lowest` does not run.
PROGRAMS = {"ruff", "mypy"}


def test_lower_bounds_are_the_tested_versions():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    requirements = "\n".join(
        [setup["options"]["install_requires"], setup["options.extras_require"]["test"]]
    )
    lowest = (ROOT / "tests" / "lowest-versions.txt").read_text(encoding="utf-8")
    assert versions(lowest, "==").items() == {
        (name, version)
        for name, version in versions(requirements, ">=").items()
        if name not in PROGRAMS
    }


def versions(text, relation):
    """Returns a dict from the name of a requirement to three numbers."""
    found = re.findall(rf"^([\w-]+){relation}([\d.]+)", text, re.MULTILINE)
    return {name: (*map(int, version.split(".")), 0, 0)[:3] for name, version in found}
