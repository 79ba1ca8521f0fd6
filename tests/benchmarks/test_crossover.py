import subprocess
import sys

import pytest

from tests.markdown import ROOT


@pytest.mark.slow
def test_both_implementations_are_measured_on_one_device_and_on_replicas():
    command = [sys.executable, "-m", "benchmarks.crossover", "--quick"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    rows = [line for line in run.stdout.splitlines() if line.startswith("| D=")]
    assert [row.split(" | ")[1] for row in rows] == ["gram", "correlation"] * 2
    assert not any("did not run" in row for row in rows)
