"""For the site: links to files outside docs/, which it does not have, become plain text that names the file.

mkdocs calls it as a hook (mkdocs.yml). In the repository the links lead to these files as they are.
"""

import re

_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:\.\./)+([^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """The text of a page without such links."""
    return _OUTSIDE.sub(_named, markdown)


def _named(link: re.Match[str]) -> str:
    text, path = link[1], link[2]
    return f"`{path}`" if text.strip("`") in (path, path.rsplit("/", 1)[-1]) else f"{text} (`{path}` in the source)"
