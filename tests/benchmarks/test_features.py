import re
import subprocess
import sys

import pytest

from tests.markdown import ROOT


@pytest.mark.slow
def test_every_case_is_measured(tmp_path):
    command = [sys.executable, "-m", "benchmarks.features", "--quick"]
    run = subprocess.run(
        [*command, f"--folder={tmp_path}"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    rows = [line.split("|")[1:-1] for line in run.stdout.splitlines() if "|" in line]
    assert len(rows) == 2 + 8
    assert {len(row) for row in rows} == {5}
    assert all(re.search(r"\d s$", row[1].strip()) for row in rows[2:])
    assert not list(tmp_path.iterdir())
