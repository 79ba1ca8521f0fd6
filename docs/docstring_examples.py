"""An extension of griffe: the `>>>` examples of docstrings as blocks of code.

Keras's dialect has `Example:` with the code below it, not indented, which the parser of
Google's dialect takes for text.
"""

import re

import griffe

_CODE = re.compile(r"^>>> .*?(?=^\s*$|\Z)", re.MULTILINE | re.DOTALL)


class DocstringExamples(griffe.Extension):
    """Puts every run of lines that begins with `>>>` into a fence."""

    def on_object(self, *, obj, **_):
        """Rewrites an object's docstring before it is parsed."""
        if obj.docstring and ">>> " in obj.docstring.value:
            text = _CODE.sub(r"```pycon\n\g<0>```\n", obj.docstring.value + "\n")
            obj.docstring.value = re.sub(
                r"^Examples?:$", "**Example**", text, flags=re.MULTILINE
            )
