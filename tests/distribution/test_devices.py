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


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx2 fma", None),
        ("avx512f avx512_bf16", "avx512"),
        ("avx512f avx512_bf16 amx_bf16", "amx"),
        ("asimd bf16", None),
    ],
)
def test_instructions_for_bfloat16_products(tmp_path, flags, expected):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : sse {flags}\n")
    result = devices.cpu_bfloat16(cpuinfo)
    assert result == (expected if NO_ACCELERATOR else None)


def test_an_unknown_cpu_is_not_reported(tmp_path):
    assert not devices.bfloat16_is_emulated(tmp_path / "missing")
    assert devices.cpu_bfloat16(tmp_path / "missing") is None


def test_xla_is_the_default_only_on_accelerators():
    assert devices.xla_pays() == (not NO_ACCELERATOR)


def test_xla_is_not_the_default_with_deterministic_operations(gpu_paths, monkeypatch):
    """XLA has no deterministic gradient of max pooling on a GPU."""
    assert devices.xla_pays()

    def timestamp():
        raise tf.errors.FailedPreconditionError(None, None, "not deterministic")

    monkeypatch.setattr(tf, "timestamp", timestamp)
    assert devices.is_deterministic()
    assert not devices.xla_pays()


@pytest.mark.parametrize(
    ("visible", "file", "unused"),
    [
        (None, "nvidia0", True),
        ("0,1", "nvidia0", True),
        ("-1", "nvidia0", False),
        ("", "nvidia0", False),
        (None, "other", False),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see(
    monkeypatch, tmp_path, visible, file, unused
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (tmp_path / file).touch()
    sees_none = not tf.config.list_physical_devices("GPU")
    assert devices.gpu_is_unused(tmp_path / "nvidia0") == (unused and sees_none)


def test_nvidia_smi_tells_of_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # `make test` hides GPUs.
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert not devices.gpu_is_unused(tmp_path / "nvidia0")
    (tmp_path / "nvidia-smi").touch(mode=0o755)
    assert devices.gpu_is_unused(tmp_path / "nvidia0")
