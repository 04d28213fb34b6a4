"""Checks a built site: every internal link leads somewhere, and nothing is loaded from elsewhere, so that it opens offline."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
          "track": "src", "input": "src", "object": "data", "image": "href", "use": "href"}
LOADED_RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest", "apple-touch-icon"}
CSS_URL = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")


class Page(HTMLParser):
    """What one page links to, what it loads, and the anchors it has."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self._style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        """Called by the parser for each element."""
        given = {name: value or "" for name, value in attributes}
        self._style = tag == "style"
        self.anchors |= {given[name] for name in ("id", "name") if name in given and (name == "id" or tag == "a")}
        if tag in ("a", "area") and "href" in given:
            self.links.append(given["href"])
        if tag == "form" and given.get("action"):
            self.links.append(given["action"])
        if tag == "link" and "href" in given:
            loaded = LOADED_RELATIONS & set(given.get("rel", "").lower().split())
            (self.loads if loaded else self.links).append(given["href"])
        if given.get(LOADED.get(tag, "")):
            self.loads.append(given[LOADED[tag]])
        if given.get("xlink:href"):
            self.loads.append(given["xlink:href"])
        self.loads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        self.loads += css_urls(given.get("style", ""))

    def handle_endtag(self, tag):
        """Called by the parser at each element's end."""
        self._style = self._style and tag != "style"

    def handle_data(self, data):
        """Called by the parser for text."""
        if self._style:
            self.loads += css_urls(data)


def css_urls(text: str) -> list[str]:
    """What a style sheet loads."""
    return [a or b for a, b in CSS_URL.findall(text)]


def problems(root: Path) -> list[str]:
    """A sentence for each dead link, dead anchor, and thing loaded from elsewhere, in all pages and style sheets below root."""
    root = root.resolve()

    @cache
    def page(path):
        return Page(path.read_text(encoding="utf-8"))

    found = []
    for path in sorted(root.rglob("*.html")):
        here = page(path)
        found += [_problem(root, path, url, True, page) for url in here.loads]
        found += [_problem(root, path, url, False, page) for url in here.links]
    for path in sorted(root.rglob("*.css")):
        found += [_problem(root, path, url, True, page) for url in css_urls(path.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(filter(None, found)))


def _problem(root, path, url, loaded, page):
    """What is wrong with one address on one page, or None."""
    who, parts = f"{path.relative_to(root)}: {url!r}", urlsplit(url.strip())
    if parts.scheme == "data" or (parts.scheme in ("http", "https", "mailto") and not loaded):
        return None
    if parts.scheme or parts.netloc:
        return f"{who} is loaded from elsewhere" if loaded else f"{who} is an address of a kind that no page should use"
    if parts.path.startswith("/"):
        return f"{who} begins at the root of the disk or server; write it relative to the page"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(root) or not target.is_file():
        return f"{who} leads to no file of the site"
    anchor = unquote(parts.fragment)
    if anchor in ("", "top") or target.suffix != ".html" or anchor in page(target).anchors:
        return None
    return f"{who} leads to an anchor that is not there"
