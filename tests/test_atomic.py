import pytest

import bt_keras
from bt_keras import atomic


def test_a_file_is_there_when_it_is_whole_and_its_folder_is_made(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with atomic.file(path) as temporary:
        temporary.write_bytes(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("kind", [atomic.file, atomic.folder])
def test_what_fails_leaves_nothing_behind(tmp_path, kind):
    def write():
        with kind(tmp_path / "name"):
            raise OSError(28, "No space left on device")

    with pytest.raises(bt_keras.UsageError, match="No space left"):
        write()
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced_not_even_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(bt_keras.UsageError, match="exists already"):
            atomic.check_free(path)
    with pytest.raises(bt_keras.UsageError, match="not empty"), atomic.folder(tmp_path):
        pass


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "module").mkdir()
    with atomic.folder(tmp_path / "module") as temporary:
        (temporary / "file").write_text("all")
    assert (tmp_path / "module" / "file").read_text() == "all"


def test_errors_of_a_library_are_told_as_the_file_system_s(tmp_path):
    class LibraryError(Exception):
        pass

    def write():
        with atomic.file(tmp_path / "name", (LibraryError,)):
            raise LibraryError("disk\nfull")

    with pytest.raises(bt_keras.UsageError, match="disk full"):
        write()
