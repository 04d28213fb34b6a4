"""Markdown, as far as the project's own texts use it, as reStructuredText: headings, paragraphs, lists, tables and code."""

import re

from site_docstrings import inline

FOLD = 30  # a longer block is shown only when asked for


def to_rst(markdown: str) -> str:
    """The text without its title, for a place below a section; a fenced block of more than `FOLD` lines is folded away."""
    out: list[str] = []
    for part in re.split(r"^(```\w*\n.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("```"):
            first, *lines, _ = part.split("\n")
            out += _fenced(lines, first[3:] or "text")
            continue
        for block in filter(None, (block.strip("\n") for block in part.split("\n\n"))):
            if heading := re.match(r"(#+) (.*)", block):
                out += [heading[2], "~^"[len(heading[1]) - 2] * len(heading[2]), ""] if len(heading[1]) > 1 else []
            elif picture := re.fullmatch(r"!\[([^\]]*)\]\((\S+)\)", block):
                out += [f".. figure:: {picture[2]}", "   :figclass: figure-on-white", f"   :alt: {picture[1]}", ""]
            elif block.startswith("|"):
                out += _table(block.split("\n"))
            elif all(line.startswith("    ") for line in block.split("\n")):
                out += [".. code-block:: text", "", *("   " + line[4:] for line in block.split("\n")), ""]
            else:
                out += [_links(inline(re.sub(r"`([^`]+)`", r"``\1``", block))), ""]
    return "\n".join(out)


def _links(text):
    return re.sub(r"\[([^\]]+)\]\((http[^)]+)\)", r"`\1 <\2>`__", text)


def _fenced(lines, language):
    block = [f".. code-block:: {language}", "", *("   " + line for line in lines), ""]
    if len(lines) <= FOLD:
        return block
    summary = f"All {len(lines)} lines"
    return [".. raw:: html", "", f"   <details class='rows'><summary>{summary}</summary>", "", *block,
            ".. raw:: html", "", "   </details>", ""]


def _table(lines):
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    del rows[1]
    out = [".. list-table::", "   :header-rows: 1", "   :class: numbers", ""]
    for row in rows:
        cells = [_links(inline(re.sub(r"`([^`]+)`", r"``\1``", cell))) for cell in row]
        out += [f"   {'* -' if k == 0 else '  -'} {cell}".rstrip() for k, cell in enumerate(cells)]
    return [*out, ""]
