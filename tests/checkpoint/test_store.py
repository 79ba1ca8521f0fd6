import errno
import json
import os
import zipfile

import pytest

from bt_keras import UsageError
from bt_keras.checkpoint import store
from bt_keras.checkpoint.progress import Progress


def sealed(folder, step, steps_per_epoch=4):
    """Writes a checkpoint without a model."""
    progress = Progress(steps_per_epoch, step=step, batch=step + 3)
    path = folder / store.name(progress)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", bytes(range(256)) * 40)
        archive.writestr("config.json", "{}")
    store.seal(path, progress, [["kernel", [3, 3]]])
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_stores_its_progress(tmp_path):
    assert store.find_newest(tmp_path) == (None, None)
    path = sealed(tmp_path, step=6)
    assert path.name == "epoch-0001-step-000002.keras"
    progress, found = store.find_newest(tmp_path)
    assert found == path
    assert (progress.step, progress.batch, progress.steps_per_epoch) == (6, 9, 4)
    assert store.variables(path) == [["kernel", [3, 3]]]


def test_the_newest_checkpoint_has_the_most_steps(tmp_path):
    for step in (10, 4, 8, 9, 3):
        sealed(tmp_path, step)
    assert store.find_newest(tmp_path)[0].step == 10
    assert names(tmp_path) == [
        "epoch-0000-step-000003.keras",
        "epoch-0001.keras",
        "epoch-0002-step-000001.keras",
        "epoch-0002-step-000002.keras",
        "epoch-0002.keras",
    ]


@pytest.mark.parametrize(
    ("keep", "keep_every", "left"),
    [(1, 0, [24]), (2, 0, [22, 24]), (2, 2, [8, 16, 22, 24]), (9, 0, None)],
)
def test_prune_keeps_the_last_and_every_nth_epoch(tmp_path, keep, keep_every, left):
    steps = [4, 6, 8, 10, 16, 18, 22, 24]
    for step in steps:
        sealed(tmp_path, step)
    store.prune(tmp_path, keep, keep_every)
    kept = [store.read(path).step for path in sorted(tmp_path.iterdir())]
    assert sorted(kept) == (left or steps)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_renamed_and_skipped(tmp_path, caplog, share):
    before = sealed(tmp_path, step=4)
    path = sealed(tmp_path, step=8)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert store.find_newest(tmp_path)[1] == before
    assert path.name in caplog.text
    assert path.exists()  # Only the training process may rename it.
    assert store.find_newest(tmp_path, clean_up=True)[1] == before
    assert names(tmp_path) == ["epoch-0001.keras", "epoch-0002.keras.damaged"]
    assert store.find_newest(tmp_path, clean_up=True)[1] == before


def test_any_changed_bit_of_the_contents_is_detected(tmp_path):
    path = sealed(tmp_path, step=4)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offsets = [
            member.header_offset + 30 + len(member.filename) + member.file_size // 2
            for member in archive.infolist()
            if member.file_size > 2
        ]
    assert len(offsets) == 2
    for offset in offsets:
        content[offset] ^= 1
        path.write_bytes(content)
        with pytest.raises(store.DamagedError):
            store.read(path)
        content[offset] ^= 1


def test_replaced_weights_with_a_valid_zip_checksum_are_detected(tmp_path):
    """Another program may replace a member of the archive."""
    path = sealed(tmp_path, step=4)
    with zipfile.ZipFile(path) as archive:
        run = archive.read("run.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"other weights")
        archive.writestr("config.json", "{}")
        archive.writestr("run.json", run)
    with pytest.raises(store.DamagedError, match="SHA-256"):
        store.read(path)


def test_only_the_training_process_removes_unfinished_files(tmp_path):
    sealed(tmp_path, step=4)
    (tmp_path / store.UNFINISHED).parent.mkdir()
    (tmp_path / store.UNFINISHED).write_bytes(b"half")
    assert store.find_newest(tmp_path)[0].step == 4
    assert (tmp_path / store.UNFINISHED).exists()
    assert store.find_newest(tmp_path, clean_up=True)[0].step == 4
    assert names(tmp_path) == ["epoch-0001.keras"]


def test_a_run_without_an_intact_checkpoint_does_not_start_again(tmp_path):
    for step in (4, 8):
        sealed(tmp_path, step).write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"none of the 2 .* epoch-0002\.keras"):
        store.find_newest(tmp_path, clean_up=True)
    assert names(tmp_path) == ["epoch-0001.keras", "epoch-0002.keras"]


def test_an_unreadable_checkpoint_is_not_treated_as_damaged(tmp_path, monkeypatch):
    sealed(tmp_path, step=4)
    sealed(tmp_path, step=8)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store.zipfile, "ZipFile", fail)
    with pytest.raises(UsageError, match="Input/output error"):
        store.find_newest(tmp_path, clean_up=True)
    assert names(tmp_path) == ["epoch-0001.keras", "epoch-0002.keras"]


def test_other_package_versions_are_reported(tmp_path, monkeypatch):
    path = sealed(tmp_path, step=4)
    assert store.other_versions(path) == ""
    now = {**store.versions(), "keras": "9.9"}
    then = store.versions()["keras"]
    monkeypatch.setattr(store, "versions", lambda: now)
    assert store.other_versions(path) == f"keras {then}, now 9.9"


def test_other_files_are_not_changed(tmp_path):
    for name in ("epoch-1.txt", "best.keras", "epoch-last.keras"):
        (tmp_path / name).write_text("mine")
    sealed(tmp_path, step=4)
    sealed(tmp_path, step=8)
    store.prune(tmp_path, keep=1, keep_every=0)
    assert store.find_newest(tmp_path, clean_up=True)[0].step == 8
    assert {"best.keras", "epoch-1.txt", "epoch-last.keras"} < set(names(tmp_path))


def test_progress_counts_epochs_and_steps():
    progress = Progress(8, step=18, batch=20, rollbacks=1)
    assert (progress.epoch, progress.step_in_epoch, progress.epochs) == (2, 2, "2.25")
    later = progress.after(6, {"loss": (1.0, 2.0)})
    assert (later.step, later.batch, later.rollbacks) == (24, 26, 1)
    assert later.epochs == "3"
    assert Progress.from_json(later.to_json()) == later


def test_a_folder_with_the_name_of_a_checkpoint_is_set_aside(tmp_path, caplog):
    before = sealed(tmp_path, step=4)
    (tmp_path / "epoch-0002.keras").mkdir()
    assert store.find_newest(tmp_path)[1] == before
    assert store.find_newest(tmp_path, clean_up=True)[1] == before
    assert names(tmp_path) == ["epoch-0001.keras", "epoch-0002.keras.damaged"]
    assert "(it is a folder): renamed" in caplog.text
    before.unlink()
    before.mkdir()
    assert store.find_newest(tmp_path, clean_up=True) == (None, None)
    assert names(tmp_path) == ["epoch-0001.keras.damaged", "epoch-0002.keras.damaged"]


def test_folders_are_not_pruned(tmp_path):
    (tmp_path / "epoch-0001.keras").mkdir()
    sealed(tmp_path, step=8)
    store.prune(tmp_path, keep=1, keep_every=0)
    assert names(tmp_path) == ["epoch-0001.keras", "epoch-0002.keras"]


def test_links_to_nothing_and_fifos_are_damaged(tmp_path):
    (tmp_path / "epoch-0002.keras").symlink_to(tmp_path / "unmounted" / "file")
    with pytest.raises(UsageError, match="a link to a file that is missing"):
        store.find_newest(tmp_path, clean_up=True)
    os.mkfifo(tmp_path / "epoch-0003.keras")
    with pytest.raises(UsageError, match=r"epoch-0003\.keras: it is not a file"):
        store.find_newest(tmp_path, clean_up=True)
    before = sealed(tmp_path, step=4)
    assert store.find_newest(tmp_path, clean_up=True)[1] == before


@pytest.mark.parametrize(
    "fields",
    [
        {"step": "4"},
        {"step": -1},
        {"step": True},
        {"steps_per_epoch": 0},
        {"means": {"loss": ["x", 1]}},
        {"means": 3},
        {"other": 3},
    ],
    ids=str,
)
def test_a_progress_of_other_types_is_damage(tmp_path, fields):
    path = sealed(tmp_path, step=4)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    run = json.loads(members["run.json"])
    run["progress"] |= fields
    members["run.json"] = json.dumps(run)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(store.DamagedError):
        store.read(path)


@pytest.mark.parametrize(
    "name", ["epoch-0001", "epoch-1", "epoch-0001.keras", "epoch-0001-step-000002"]
)
def test_a_checkpoint_is_found_by_its_name(tmp_path, name):
    for step in (4, 6, 8):
        sealed(tmp_path, step)
    progress, path = store.find_named(tmp_path, name)
    assert progress.step == (6 if "step" in name else 4)
    assert path.name == store.name(progress)


def test_a_missing_checkpoint_lists_those_that_are_there(tmp_path):
    with pytest.raises(UsageError, match="it has none"):
        store.find_named(tmp_path, "epoch-0003")
    for step in (8, 6):
        sealed(tmp_path, step)
    for name in ("epoch-0003", "newest", "epoch-0002/..", ""):
        with pytest.raises(UsageError, match="'epoch-0001-step-000002', 'epoch-0002'"):
            store.find_named(tmp_path, name)
    (tmp_path / "epoch-0002.keras").write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"epoch-0002.*not a zip file"):
        store.find_named(tmp_path, "epoch-0002")
