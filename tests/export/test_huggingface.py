import base64
import http.server
import json
import shutil
import sys
import threading

import huggingface_hub
import pytest

import bt_keras
from bt_keras.cli import main
from bt_keras.export import publishing, verify
from bt_keras.export.huggingface import HuggingFace
from tests import processes
from tests.cli.commands import one_error_line

HOST = HuggingFace()
HANDLE = "somebody/barlow-twins"
# Of an earlier version.
OLD_FILE = "variables/old"
PUBLISH = ["export", "--publish=huggingface", f"--handle={HANDLE}"]


@pytest.fixture(scope="module")
def licensed(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("licensed") / "module"
    about = {"license": "BSD-3-Clause"}
    bt_keras.export_backbone(exported.model, folder, image_size=32, about=about)
    return folder


class _Hub(http.server.BaseHTTPRequestHandler):
    """Imitates the parts of Hugging Face's API that an upload of small files uses."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        path = self.path.partition("?")[0]
        answer = {}
        if path == "/api/repos/create":
            answer = {"url": f"{self.server.url}/{HANDLE}"}
        elif path == "/api/validate-yaml":
            errors = []
            if "\nlicense: bsd-3-clause\n" not in json.loads(body)["content"]:
                errors = [{"message": '"license" must be one of [...]'}]
            answer = {"errors": errors, "warnings": []}
        elif "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            mode = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            answer = {"files": [{"path": name, **mode} for name in names]}
        elif "/commit/" in path:
            url = f"{self.server.url}/{HANDLE}/commit/1"
            answer = {"commitUrl": url, "commitOid": "1", "success": True}
        self._answer(answer)

    def do_GET(self):
        self.server.requests.append((self.path, self.headers["Authorization"], b""))
        if "/tree/" in self.path:
            old = {"type": "file", "path": OLD_FILE, "size": 1, "oid": "1"}
            self._answer([old])
        else:
            self._answer({"id": HANDLE, "sha": "0", "siblings": []})

    def _answer(self, answer):
        contents = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        self.wfile.write(contents)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        server.requests = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_huggingface_hub_sends_a_module_that_can_be_verified(hub, licensed, tmp_path):
    """In a process of its own: huggingface_hub reads the variables when imported."""
    command = ["-m", "bt_keras.cli", *PUBLISH, f"--out={licensed}"]
    environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_1", "HF_HOME": str(tmp_path)}
    before = {p: p.read_bytes() for p in licensed.rglob("*") if p.is_file()}
    process = processes.start(command, tmp_path / "log", environment)
    processes.finish([process], [tmp_path / "log"])
    assert f"published as {HANDLE}" in (tmp_path / "log").read_text()
    anonymous = {path for path, token, _ in hub.requests if token != "Bearer hf_1"}
    assert not [path for path in anonymous if "create" in path or "commit" in path]
    (created,) = [json.loads(b) for path, _, b in hub.requests if "create" in path]
    # huggingface_hub 2 sends the second, earlier releases send the first.
    assert created.get("private") or created["visibility"] == "private"
    (commit,) = [body for path, _, body in hub.requests if "/commit/" in path]
    header, *files = [json.loads(line) for line in commit.splitlines()]
    deleted = [file for file in files if file["key"] == "deletedFile"]
    assert [file["value"]["path"] for file in deleted] == [OLD_FILE]
    assert header["value"]["summary"].endswith("32 features.")
    received = tmp_path / "received"
    for file in (file for file in files if file not in deleted):
        path = received / file["value"]["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(file["value"]["content"]))
    assert all(check.passed for check in verify.verify(received))
    assert {p: p.read_bytes() for p in licensed.rglob("*") if p.is_file()} == before


def test_a_dry_run_needs_neither_the_package_nor_a_token(licensed, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    before = sorted(licensed.parent.iterdir())
    assert main([*PUBLISH, f"--out={licensed}", "--dry_run"]) == 0
    out = capsys.readouterr().out
    for part in (
        f"to {HANDLE} on Hugging Face",
        "license: bsd-3-clause",
        "saved_model",
    ):
        assert part in out
    assert "README.md (changed for this host)" in out
    assert "nothing was sent" in out
    assert sorted(licensed.parent.iterdir()) == before
    one_error_line(
        capsys, [*PUBLISH, f"--out={licensed}"], "pip install 'bt-keras[huggingface]'"
    )


def test_a_missing_token_is_one_line(licensed, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    command = [*PUBLISH, f"--out={licensed}"]
    one_error_line(capsys, command, "no token", "hf auth login", "HF_TOKEN")


@pytest.mark.parametrize(
    ("spdx", "lines"),
    [
        ("MIT", ["license: mit"]),
        ("GPL-3.0-only", ["license: gpl-3.0"]),
        ("MyOwn\n1", ["license: other", 'license_name: "myown\\n1"']),
        (None, ['license: "unknown"']),
    ],
)
def test_the_license_in_the_card_has_its_name_on_hugging_face(
    exported, tmp_path, spdx, lines
):
    card = (exported.folder / "README.md").read_text()
    assert 'license: "unknown"' in card
    text = HOST.card(card, spdx)
    before, after = (each.split("\n---\n", 1) for each in (card, text))
    assert set(after[0].splitlines()) - set(before[0].splitlines()) == (
        set(lines) if spdx else set()
    )
    assert after[1] == before[1]
    assert set(lines) <= set(after[0].splitlines())


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [("cifar10", True), ("me/photos", True), ("my photos", False), ("/a/b", False)],
)
def test_a_folder_is_no_data_set_of_hugging_face(name, is_kept):
    card = (
        f'---\nlicense: "MIT"\ndatasets: ["{name}"]\nmetrics: [accuracy]\n---\n# Mine\n'
    )
    expected = card.replace('license: "MIT"', "license: mit")
    if not is_kept:
        expected = expected.replace(f'datasets: ["{name}"]\n', "")
    assert HOST.card(card, "MIT") == expected


def test_a_card_of_the_user_is_sent_as_it_is(licensed, tmp_path):
    module = shutil.copytree(licensed, tmp_path / "module")
    (module / "README.md").write_text("# Mine\n\nlicense: mine\n")
    assert not publishing.prepare(HOST, module, HANDLE).changed
    (module / "README.md").unlink()
    assert "README.md" not in dict(publishing.prepare(HOST, module, HANDLE).files)


@pytest.mark.parametrize(
    "handle",
    [None, "a", "a/b/c", "a/b.git", "a--b/c", "-a/b", "a/b\n", "a/" + "b" * 95],
)
def test_malformed_handles_are_refused(handle):
    with pytest.raises(bt_keras.UsageError, match="must be OWNER/MODEL"):
        HOST.check_handle(handle)


def test_other_handles_are_accepted():
    for handle in ("a/b", "somebody/Barlow-Twins_r18.v1", "a/" + "b" * 94):
        HOST.check_handle(handle)
