import sys

from benchmarks import kernel_gradient


def test_every_convolution_has_a_row(monkeypatch, capsys):
    arguments = ["benchmarks.kernel_gradient", "--quick", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--only", "ResNet-18 of width 1,"])
    kernel_gradient.main()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("| ")
    ]
    header, _, *rows = rows
    assert {len(row) for row in rows} == {len(header)}
    number = header.index("number in a view")
    assert sum(int(row[number]) for row in rows) == 20
    for instructions in ("avx512", "amx"):
        assert {row[header.index(instructions)] for row in rows} == {"", "yes"}
