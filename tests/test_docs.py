"""README and docs/: the Python runs; links, flags, fields and targets exist."""

import importlib
import re
import shlex
import subprocess
import sys

import pytest

from bt_keras import config
from bt_keras.cli import config_flags, flags
from bt_keras.cli.main import COMMANDS
from tests import markdown
from tests.markdown import ROOT

_DOCS = markdown.pages("docs/*.md")
_PROGRAMS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *_DOCS]
_ALL = [
    *_PROGRAMS,
    *markdown.pages("benchmarks/*.md"),
    *markdown.pages("examples/*/*.md"),
    *markdown.pages("bt_keras/data/shipped/*.md"),
    *markdown.pages("export/models/*/*.md"),
    *markdown.pages("tests/reference/*.md"),
]
# Assertions at the end of the programs of some pages.
_CHECKS = {
    "docs/any_data.md": (
        # Ten labels per class: training must gain 5 percentage points.
        "assert tabular['trained'] > tabular['untrained'] + 0.05, tabular\n"
        "assert series['trained'] > series['untrained'] + 0.05, series\n"
        "assert np.allclose(features, model.predict(examples), rtol=1e-4, atol=1e-5)\n"
    ),
    "README.md": (
        "losses = history.history['loss']\nassert losses[-1] < 0.8 * losses[0]\n"
    ),
}
# Flags in the prose that belong to other programs.
_FOREIGN = {"--gpus-per-task", "--transfer"}
# Flags that some commands require.
_REQUIRED = ("--workdir", "--input", "--module", "--out", "--queue")


def _id(page):
    return str(page.relative_to(ROOT))


def _python(page):
    return [
        block
        for block in markdown.blocks(page)
        if block.language == "python" and block.mark != "not run"
    ]


def _is_slow(page):
    return any(block.mark == "slow" for block in _python(page))


def _program(page):
    """The page's Python blocks as one program, with the page's line numbers."""
    lines = []
    for block in _python(page):
        lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join(lines) + "\n"


_FAST = [page for page in _PROGRAMS if _python(page) and not _is_slow(page)]
_SLOW = [page for page in _PROGRAMS if _is_slow(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", _FAST, ids=_id)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(_program(page), str(page), "exec"), {"__name__": "page"})


@pytest.mark.slow
@pytest.mark.parametrize("page", _SLOW, ids=_id)
def test_python_runs_in_a_fresh_process(page, tmp_path):
    (tmp_path / "page.py").write_text(_program(page) + _CHECKS.get(_id(page), ""))
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", _ALL, ids=_id)
def test_links(page):
    for link in markdown.links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in markdown.anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", _ALL, ids=_id)
def test_commands(page):
    for command in _commands(_shell_lines(page)):
        _check_command(command)
    for command in _commands(markdown.inline_code(page)):
        # In the prose, a command may be without its required flags.
        given = {word.partition("=")[0] for word in command}
        required = [f"{f}=X" for f in _REQUIRED if f not in given]
        _check_command([*command, *required], known_only=True)


@pytest.mark.parametrize("page", _ALL, ids=_id)
def test_make_targets(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    targets |= set(re.findall(r"bench-[a-z]+", (ROOT / "Makefile").read_text()))
    code = [*_shell_lines(page), *markdown.inline_code(page)]
    used = {m[1] for line in code if (m := re.match(r" *make ([a-z-]+)", line))}
    assert used <= targets


@pytest.mark.parametrize("page", [ROOT / "README.md", *_DOCS], ids=_id)
def test_flags_in_the_prose(page):
    defined = [
        (name, values[name]) for values in map(_flags, COMMANDS) for name in values
    ]
    names = {f"--{name}" for name, _ in defined} | _FOREIGN
    names |= {f"--no{name}" for name, flag in defined if flag.boolean}
    used = (
        re.match(r"--[\w-]+(?![\w.-])", code) for code in markdown.inline_code(page)
    )
    assert {match[0] for match in used if match} <= names


@pytest.mark.parametrize("page", _ALL, ids=_id)
def test_config_fields_in_the_prose(page):
    for code in markdown.inline_code(page):
        if match := re.match(r"(?:--)?config\.(?!json)([a-z_.]+)", code):
            assert _has_field(match[1]), f"`{code}`: no such field"


def _shell_lines(page):
    """Lines of the blocks without a language, continued lines joined."""
    code = [b.code for b in markdown.blocks(page) if b.language in ("", "bash", "sh")]
    return "\n".join(code).replace("\\\n", " ").splitlines()


def _commands(lines):
    """`bt-keras COMMAND ...` in these lines, as lists of arguments; no placeholders."""
    for line in lines:
        if match := re.search(r"bt-keras [a-z].*", line):
            yield shlex.split(match[0], comments=True)[1:]


def _check_command(command, known_only=False):
    name, arguments = command[0], command[1:]
    assert name in COMMANDS, f"bt-keras {name}: no such command"
    fields = [a for a in arguments if a.startswith("--config.")]
    config_flags.override(config.default(), fields, _flags(name))
    rest = [a for a in arguments if a not in fields]
    if "--help" not in rest:
        command = importlib.import_module(f"bt_keras.cli.{name}")
        positional = hasattr(command, "POSITIONAL")
        unknown = flags.parse(_flags(name), rest, known_only, positional)
        if positional:
            unknown = [each for each in unknown if each.startswith("-")]
        assert set(unknown) <= {f"{f}=X" for f in _REQUIRED}, f"unknown: {unknown}"


def _flags(command):
    return importlib.import_module(f"bt_keras.cli.{command}").define_flags()


def _has_field(name):
    value = config.default()
    for part in name.split("."):
        if part not in value:
            return False
        value = value[part]
    return True
