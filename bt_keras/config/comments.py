"""The comments of the fields in configs/default.py, for manual pages."""

from __future__ import annotations

import ast
import io
import tokenize

from bt_keras.config import loading


def read() -> dict[str, str]:
    """Returns the comments of the fields of configs/default.py.

    Returns:
        Dict from dotted names of fields and of their groups to comments, one line each:
        first those above the field, then the one behind it. Fields without a comment
        are left out.

    Example:

    >>> from bt_keras.config import comments
    >>> comments.read()["views.size"]
    'pixels'
    """
    return parse(loading.default_file().read_text(encoding="utf-8"))


def parse(source: str) -> dict[str, str]:
    """Returns the comments of the fields in the text of a config file, see `read`."""
    above, behind = _comments(source)
    found = {}
    for name, first, last in _fields(ast.parse(source)):
        lines = []
        while first - 1 - len(lines) in above:
            lines.insert(0, above[first - 1 - len(lines)])
        if last in behind:
            lines.append(behind[last])
        if lines:
            found[name] = " ".join(lines)
    return found


def _comments(source):
    """Returns the comments on lines of their own and those behind code, by line."""
    above, behind = {}, {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            is_alone = token.line.lstrip().startswith("#")
            place = above if is_alone else behind
            place[token.start[0]] = token.string.lstrip("# ")
    return above, behind


def _fields(tree):
    """Yields the dotted name and the first and the last line of every assignment."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            _, *names = ast.unparse(node.targets[0]).split(".")
            name = ".".join(names)
            yield name, node.lineno, node.end_lineno
            yield from _entries(name, node.value)


def _entries(name, value):
    """Yields the same for the entries of `ConfigDict({...})`."""
    for arguments in getattr(value, "args", ()):
        if isinstance(arguments, ast.Dict):
            for key, entry in zip(arguments.keys, arguments.values, strict=True):
                inner = f"{name}.{ast.literal_eval(key)}"
                yield inner, key.lineno, entry.end_lineno
                yield from _entries(inner, entry)
