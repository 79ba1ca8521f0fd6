"""Thousands of damaged and hostile files of every kind, each in a few milliseconds."""

import json

import pytest

from tests import processes
from tests.fuzz.kinds import GROUPS

_MAX_MEMORY = 2**29


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_hostile_files_are_one_line_of_error(group, tmp_path):
    folder, log, findings = (tmp_path / name for name in ("files", "log", "found.json"))
    folder.mkdir()
    process = processes.start(
        ["-m", "tests.fuzz.child", group, 1, folder, findings],
        log,
        {"TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    processes.finish([process], [log])
    found = json.loads(findings.read_text(encoding="utf-8"))
    assert not [problem for kind in found.values() for problem in kind["problems"]]
    assert max(kind["peak"] for kind in found.values()) < _MAX_MEMORY
