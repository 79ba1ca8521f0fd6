import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.gpu import __main__ as parent
from benchmarks.gpu import card, cases, pieces, turns
from tests.markdown import ROOT

OURS = ("resnet50", "resnet18", "losses", "replicas", "unstacked", "float16")
OURS += ("deterministic", "cached", "pooling", "finished")


def start(code):
    """Starts a process that measures, in the checkout."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


@pytest.mark.slow
def test_all_our_sections_measure_on_a_cpu():
    command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--minutes=60"]
    command.append(f"--only={','.join(OURS)}")
    # A Python that is not there: PyTorch's side is not measured.
    command.append("--peer-python=false")
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = [line for line in run.stdout.splitlines() if line.startswith("| ")][2:]
    assert all("| bt_keras |" in row for row in rows)
    names = "\n".join(row.split("bt_keras")[0] for row in rows)
    fits, losses = 3 + 2, 2 * len(cases.LOSSES)
    rest = ("2 replicas", "4 replicas", "one view after the other", "float16, step")
    rest += ("two runs with deterministic operations",)
    rest += ("max pooling |", "max pooling (without", "max pooling by comparisons")
    rest += ("fit on pairs of JPEG files, finished on the device",)
    rest += ("first process with XLA's cache", "second process with XLA's cache")
    assert all(name in names for name in rest), names
    assert len(rows) == fits + losses + len(rest)
    assert "equal bits" in run.stdout
    failures = [line for line in run.stdout.splitlines() if "Not measured" in line]
    assert failures == ["- Not measured: torch, all: exit status 1"]


def test_sections_that_do_not_fit_are_named():
    replies = list(turns.replies(start(_SIDE.format(measure="1 / 0")), until=0))
    assert replies[0] == {"section": "slow", "failure": "left out: no time left"}


def test_a_case_that_fails_is_named_and_the_others_are_measured():
    measure = "side.attempt('large', fails), side.row('small', [1.0])"
    replies = list(
        turns.replies(start(_SIDE.format(measure=measure)), until=time.time() + 600)
    )
    assert replies[0] == {"section": "large", "failure": "out of memory"}
    assert replies[1]["case"] == "small"
    assert [set(reply) for reply in replies[2:]] == [{"section", "took"}]


_SIDE = """
import sys
from benchmarks.gpu.side import Side

def fails():
    raise RuntimeError("CUDA out of memory. Tried to allocate 16.00 GiB.")

side = Side(lambda: None, lambda: None)
side.serve({{"slow": (lambda: ({measure}), 60)}})
"""


def test_an_unknown_section_is_one_line(capsys):
    with pytest.raises(SystemExit) as exit_:
        parent.main(["--only=replicas,ressnet50"])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'ressnet50' is not one of the sections resnet50, losses" in line


def test_only_the_named_sections_are_measured():
    selected = turns.select(["cached", "deterministic", "resnet18"])
    assert [(turn.side, turn.sections) for turn in selected] == [
        ("torch", ("resnet18",)),
        ("bt_keras", ("resnet18",)),
        ("bt_keras", ("deterministic",)),
        ("bt_keras", ("cached",)),
        ("bt_keras", ("cached",)),
    ]
    assert turns.select(turns.SECTIONS) == list(turns.TURNS)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_max_pooling_by_comparisons_equals_tensorflows(jit_compile):
    rng = np.random.default_rng(0)
    # Different numbers: each window has one largest.
    x = tf.constant(rng.permutation(3 * 8 * 12 * 2).reshape(3, 8, 12, 2), tf.float32)
    dy = tf.constant(rng.normal(size=(3, 4, 6, 2)), tf.float32)

    def with_gradient(pool):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = pool(x)
        return y, tape.gradient(y, x, dy)

    expected = with_gradient(pieces._tensorflows)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step():
        return with_gradient(pieces.max_pool)

    for value, correct in zip(step(), expected, strict=True):
        np.testing.assert_allclose(value, correct, rtol=1e-6, atol=1e-6)


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """`nvidia_smi(text)` makes a program that prints the text."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(text):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nprintf '{text}'\n")
        program.chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("143771 MiB\\n", [122_205, 30_551]),
        ("81559 MiB\\n143771 MiB\\n", [69_325, 17_331]),
    ],
)
def test_logical_gpus_share_the_memory_of_the_card(nvidia_smi, text, memory):
    nvidia_smi(text)
    assert [card.memory_of_each(count) for count in (1, 4)] == memory


@pytest.mark.parametrize("text", ["[N/A]\\n", ""])
def test_a_card_of_unknown_memory_is_reported(nvidia_smi, text):
    nvidia_smi(text)
    with pytest.raises(RuntimeError, match="does not tell the memory"):
        card.memory_of_each(2)


def test_the_card_is_described(nvidia_smi, monkeypatch, capsys):
    nvidia_smi("NVIDIA H200, 143771 MiB, 580.159.04\\n")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0")
    parent._describe()
    described = capsys.readouterr().out
    assert "NVIDIA H200, 143771 MiB, 580.159.04" in described
    assert "XLA_FLAGS=--xla_gpu_autotune_level=0" in described
    monkeypatch.setenv("PATH", "")
    parent._describe()
    assert "no GPU" in capsys.readouterr().out
