import json
import subprocess
import sys

import pytest

from benchmarks.gpu import __main__ as parent
from tests.markdown import ROOT


@pytest.mark.slow
def test_our_side_measures_on_a_cpu():
    command = [sys.executable, "-m", "benchmarks.gpu.ours", "--quick"]
    command += ["--sections", "resnet50,losses"]
    run = subprocess.run(
        command, cwd=ROOT, input="1e12", capture_output=True, text=True, timeout=900
    )
    replies = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, run.stderr
    assert [reply for reply in replies if "failure" in reply] == []
    rows = [reply for reply in replies if "case" in reply]
    assert len(rows) == 3 + 2 * 5
    assert all(len(row["seconds"]) == 2 and min(row["seconds"]) > 0 for row in rows)


def test_sections_that_do_not_fit_are_named():
    command = [sys.executable, "-c", _SIDE]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    replies = list(parent._replies(process, until=0))
    assert replies[0] == {"section": "slow", "failure": "left out: no time left"}


_SIDE = """
from benchmarks.gpu.side import Side
Side(lambda: None, lambda: None).serve({"slow": (lambda: 1 / 0, 60)})
"""
