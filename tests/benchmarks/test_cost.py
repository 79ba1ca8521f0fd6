"""The time on paper, against its formulas for one row of the table."""

import sys

import numpy as np

from benchmarks import cost


def test_a_row_of_the_table(monkeypatch, capsys):
    flags = "--quick --batch=64 --epochs=2 --bandwidth=0.001 --latency=10"
    monkeypatch.setattr(sys, "argv", ["cost", *flags.split()])
    cost.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    # Fewer than two images an accelerator are not listed.
    assert [row[:2] for row in cells[2:]] == [["8", "8"], ["16", "4"], ["32", "2"]]
    row = dict(zip(cells[0], cells[2], strict=True))
    # In a ring, each of 8 sends its rows 7 times, and 2 · 7 / 8 of what is summed.
    gathered, summed = 2 * 8 * 64, 2 * 64 + 1
    gather = 4 * (7 * gathered + 1.75 * summed) / 1e6  # 0.001 GB/s
    parts = [float(cells[2][place]) for place in range(2, 8)]
    np.testing.assert_allclose(parts[2], 1e3 * gather, rtol=1e-3)
    step = float(row["step, ms"])
    np.testing.assert_allclose(step, sum(parts), atol=0.05)
    hours = 2 * (1_281_167 // 64) * step / 3.6e6
    np.testing.assert_allclose(float(row["hours"]), hours, atol=0.06)
    # ResNet-18: 20 batch norms, with that of the projector, 4 collectives each.
    np.testing.assert_allclose(float(row["latency, ms"]), (4 * 21 + 4) * 0.01)
