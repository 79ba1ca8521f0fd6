import types

import pytest

from benchmarks import machine, step, turns

_VALUES = types.SimpleNamespace(peer_python="python")


@pytest.mark.parametrize("emulated", [False, True])
def test_every_case_has_its_own_name(monkeypatch, emulated):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: not emulated)
    names = [step._named(case)[0] for case in step.CASES]
    assert len(set(names)) == len(step.CASES)
    assert sum("(emulated)" in name for name in names) == (3 if emulated else 0)
    assert any("ResNet-18 of width 0.25, 32 px, D=1024" in name for name in names)


@pytest.mark.parametrize(("case", "against"), step.CASES)
def test_the_kernels_of_a_case_are_measured_in_its_turns(case, against):
    ours, other, kernels = step._sides(case, against, _VALUES)
    assert [ours.module, kernels.module] == [
        "benchmarks.ours.step",
        "benchmarks.ours.kernels",
    ]
    assert kernels.case == ours.case == case
    assert other.name.endswith(against)


def test_share_is_the_time_of_the_kernels_over_that_of_the_step():
    kernels = turns.Result("kernels alone", seconds=[2.0, 4.0, 3.0])
    share = step._share_of_kernels(kernels)
    assert share(turns.Result("bt_keras", seconds=[4.0, 6.0])) == "60%"
    assert share(kernels) == "100%"
    failed = turns.Result("kernels alone", failure="out of memory")
    assert step._share_of_kernels(failed)(kernels) == ""


def test_kinds_are_medians_with_their_shares(capsys):
    kinds = {"forward": [0.1, 0.5, 0.3], "loss": [0.1]}
    step._print_kinds({"case": turns.Result("kernels alone", extra={"kinds": kinds})})
    rows = capsys.readouterr().out.splitlines()[-2:]
    assert rows == [
        "| case | forward | 300 ms | 75% |",
        "| case | loss | 100 ms | 25% |",
    ]
