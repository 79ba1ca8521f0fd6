"""Downloads of modules from a server on the loopback interface."""

import functools
import http.server
import os
import shutil
import tarfile
import threading

import pytest

import bt_keras
from bt_keras.export import archive, verify
from tests.conftest import relative_error


@pytest.fixture
def served(tmp_path, monkeypatch):
    """`(folder, URL)`: what is put into the folder can be downloaded from the URL."""
    folder, cache = tmp_path / "served", tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_module_is_downloaded_once(served, exported):
    folder, url = served
    archive.pack(exported.folder, folder / "m.tar.gz")
    for _ in range(2):
        ours = bt_keras.load_backbone(f"{url}/m.tar.gz")(exported.images)
        assert relative_error(ours, exported.features()) < 1e-5
        (folder / "m.tar.gz").unlink(missing_ok=True)


def refused(served, match, **arguments):
    """Checks that the archive is refused in one line, and not kept."""
    folder, url = served
    with pytest.raises(bt_keras.UsageError, match=match) as error:
        bt_keras.load_backbone(f"{url}/m.tar.gz", **arguments)
    assert "\n" not in str(error.value)
    assert os.listdir(folder.parent / "cache") == []


def test_an_unsafe_archive_is_refused(served):
    with tarfile.open(served[0] / "m.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "saved_model.pb"
        tar.addfile(link)
    refused(served, "not safe.*symbolic link")


def test_a_large_archive_is_refused(served, exported):
    archive.pack(exported.folder, served[0] / "m.tar.gz")
    refused(served, "more than 1,000 bytes", max_bytes=1000)
    refused(served, "more than 100,000 bytes", max_bytes=100_000)


def test_damage_and_changed_files_are_found(served, exported, tmp_path):
    path = served[0] / "m.tar.gz"
    path.write_bytes(b"not an archive")
    refused(served, "damaged")
    path.unlink()
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "saved_model.pb").write_text("")
    (changed / "SHA256SUMS").write_text(f"{'0' * 64}  saved_model.pb\n")
    archive.pack(changed, path)
    refused(served, "saved_model.pb.*SHA256SUMS")
    path.unlink()
    refused(served, "404")


def test_a_changed_module_in_the_cache_is_not_loaded(served, exported, tmp_path):
    """`--verify --trust` puts it there."""
    folder, url = served
    changed = shutil.copytree(exported.folder, tmp_path / "changed")
    (changed / "variables" / "variables.index").write_bytes(b"")
    archive.pack(changed, folder / "m.tar.gz")
    (check,) = verify.verify(f"{url}/m.tar.gz")
    assert not check.passed
    assert "variables.index" in check.found
    assert len(verify.verify(f"{url}/m.tar.gz", trust=True)) > 1
    with pytest.raises(bt_keras.UsageError, match=r"variables\.index differs"):
        bt_keras.load_backbone(f"{url}/m.tar.gz")
