"""All commands without what Windows lacks, and in spite of what it refuses."""

import pytest

from tests import processes


@pytest.mark.slow
def test_all_commands_without_what_windows_lacks(tmp_path):
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    process = processes.start(["-m", "tests.windows_run", folder], log)
    processes.finish([process], [log])
