import pytest
import tensorflow as tf

from bt_keras import system
from bt_keras.distribution import devices
from bt_keras.plan import room
from bt_keras.plan.room import Room

CARDS = """\
NVIDIA H100 80GB HBM3, 81559
NVIDIA A100-SXM4-40GB, 40960
NVIDIA A100-SXM4-40GB, 40000
NVIDIA T4, 15360
NVIDIA GB10, [N/A]
"""


@pytest.mark.parametrize(
    ("names", "size"),
    [
        ({"NVIDIA H100 80GB HBM3"}, 81559),
        ({"NVIDIA A100-SXM4-40GB"}, 40000),
        ({"NVIDIA H100 80GB HBM3", "NVIDIA T4"}, 15360),
    ],
)
def test_the_smallest_of_the_visible_cards_counts(names, size):
    found = room.smallest_card(CARDS, names)
    assert found.size == size * 2**20
    assert found.name.removeprefix("a GPU (").removesuffix(")") in names


@pytest.mark.parametrize("name", ["NVIDIA GB10", "AMD Instinct MI300X", None])
def test_cards_without_a_size_are_not_known(name):
    assert room.smallest_card(CARDS, {name}) is None


@pytest.mark.parametrize("program", [None, "exit 9", "echo 'NVIDIA T4, 15360'"])
def test_gpus_are_those_of_nvidia_smi(program, tmp_path, monkeypatch):
    if program:
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    details = {"device_name": "NVIDIA T4"}
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: details
    )
    is_found = program is not None and program.startswith("echo")
    expected = Room("a GPU (NVIDIA T4)", 15360 * 2**20) if is_found else None
    assert room.of_replica() == expected


@pytest.mark.skipif(devices.is_accelerated(), reason="about the memory of a CPU")
def test_without_gpus_it_is_that_of_the_machine(monkeypatch):
    monkeypatch.setattr(system, "total_memory", lambda: 24 * 10**9)
    assert room.of_replica() == Room("this machine", 24 * 10**9)
    monkeypatch.setattr(system, "total_memory", lambda: None)
    assert room.of_replica() is None
