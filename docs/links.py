"""A hook of mkdocs: links to files of the repository outside of docs/.

They lead to the file where the pages are read in the repository. The site has no such
files: there the link becomes its text and the file's path.
"""

import posixpath
import re

_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown, page, **_):
    """Replaces a page's links to files outside of docs/."""
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def replace(match):
        text = match[1].strip("`")
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        if text in (path, posixpath.basename(path)) or path.endswith("README.md"):
            return f"`{path}`" if "/" in text else f"{text} (`{path}`)"
        return f"{text} (`{path}`)"

    return _LINK.sub(replace, markdown)
