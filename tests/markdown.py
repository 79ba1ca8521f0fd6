"""Reads the project's Markdown: code blocks, inline code, links, headings.

A comment in the line before a code block says how the tests treat its page:
`<!-- not run: REASON -->` leaves the block out; `<!-- slow: REASON -->` runs the page
among the slow tests, in a process of its own.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"(?:^<!-- *(?P<mark>not run|slow):[^\n]*-->\n)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block: its language, code, first line and mark ("", "slow", "not run")."""

    language: str
    code: str
    line: int
    mark: str


def pages(pattern: str) -> list[Path]:
    """Returns the Markdown files that match a glob pattern below the root."""
    return sorted(ROOT.glob(pattern))


def blocks(page: Path) -> list[Block]:
    """Returns a page's code blocks in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            match["language"],
            match["code"],
            1 + text[: match.start("code")].count("\n"),
            match["mark"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]


def inline_code(page: Path) -> list[str]:
    """Returns the inline code of a page, each in one line."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(code.split()) for code in _INLINE.findall(prose)]


def links(page: Path) -> list[str]:
    """Returns the targets of a page's links and images."""
    return _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub derives them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    titles = [title.replace("`", "").lower() for title in _HEADING.findall(text)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
