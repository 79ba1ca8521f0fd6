import pytest
import tensorflow as tf

from bt_keras.distribution import devices

NO_ACCELERATOR = not any(map(tf.config.list_logical_devices, ("GPU", "TPU")))


@pytest.mark.parametrize(
    ("flags", "emulated"),
    [("avx2 fma", True), ("avx512f avx512_bf16", False), ("amx_bf16 avx2", False)],
)
def test_bfloat16_is_emulated_without_the_cpu_flag(tmp_path, flags, emulated):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : sse {flags}\n")
    assert devices.bfloat16_is_emulated(cpuinfo) == (emulated and NO_ACCELERATOR)


def test_an_unknown_cpu_is_not_reported(tmp_path):
    assert not devices.bfloat16_is_emulated(tmp_path / "missing")


def test_xla_is_the_default_only_on_accelerators():
    assert devices.xla_pays() == (not NO_ACCELERATOR)
