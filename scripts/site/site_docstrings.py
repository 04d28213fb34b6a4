"""Turns the package's docstrings, which are plain text, into reStructuredText while Sphinx reads them.

What the docstrings are written in: paragraphs; indented blocks (formulas, pictures, code), which stay as they are; lists of
``- item``; and lines ``name : text``, by themselves or below a heading *Parameters*. `name` in single backticks becomes a link
where that name has a page, and else is set as code. All else that would be markup is escaped.
"""

import inspect
import re
from functools import cache
from importlib import import_module

import isbe_np

MODULES = ("heads", "layers", "training", "datasets", "switch")
TERM = re.compile(r"^([A-Za-z_][\w, *.]*) : ", re.MULTILINE)
SPAN = re.compile(r"``.+?``|`[^`]+`|\*\*\S(?:[^*]*\S)?\*\*|(?<![\w*])\*\w(?:[^*\n]*\w)?\*(?![\w*])|[\\*|]|(?<=\w)_(?!\w)",
                  re.DOTALL)


def to_rst(lines: list[str], link=lambda name: None) -> list[str]:
    """The lines of a docstring as reStructuredText; link(name) gives the target of a name in backticks, or None."""
    out: list[str] = []
    literal = False
    for block in _blocks(lines):
        if all(line.startswith(" ") for line in block):
            out += [*([] if literal else ["::", ""]), *block, ""]
            literal = True
            continue
        literal = False
        if len(block) > 1 and re.fullmatch("-{3,}", block[1]):
            out += [f"**{block[0]}**", ""]
            block = block[2:]
        text = "\n".join(block)
        out += [*(_definitions(text, link) if TERM.match(text) else inline(text, link).split("\n")), ""]
    return out


def _blocks(lines):
    """Runs of lines between blank lines."""
    return [block.split("\n") for block in re.split(r"\n(?:[ \t]*\n)+", "\n".join(lines).strip("\n")) if block.strip()]


def _definitions(text, link):
    """Lines `name : text`, whose text may go on in indented lines, as a definition list."""
    out = []
    for entry in re.split(r"\n(?=\S)", text):
        term = TERM.match(entry)
        if term is None:
            out += ["", *inline(entry, link).split("\n")]
            continue
        names = ", ".join(f"``{name}``" for name in term[1].split(", "))
        out += ["", names, *("    " + line.strip() for line in inline(entry[term.end():], link).split("\n"))]
    return out[1:]


def inline(text: str, link=lambda name: None) -> str:
    """Running text with links, code and emphasis as they were meant, and every other mark escaped."""
    def span(match):
        found = match[0]
        if len(found) == 1:
            return "\\" + found
        if found.startswith("`") and not found.startswith("``"):
            name, target = found.strip("`"), link(found.strip("`"))
            found = f":py:obj:`{name} <{target}>`" if target else f"`{found}`"
        before, after = text[match.start() - 1:match.start()], text[match.end():match.end() + 1]
        return ("\\ " if before.isalnum() else "") + found + ("\\ " if after.isalnum() else "")
    return SPAN.sub(span, text)


@cache
def pages() -> dict[str, str]:
    """Every public name, and the path under which the site documents it: that of the package or module it belongs to."""
    names = {}
    for module in MODULES:
        for name in import_module(f"isbe_np.{module}").__all__:
            names[name] = f"isbe_np.{module}.{name}"
    for name in isbe_np.__all__:
        if name not in names and not inspect.ismodule(getattr(isbe_np, name)):
            names[name] = f"{getattr(isbe_np, name).__module__}.{name}"
    return names


def target_of(name: str, parameters=()) -> str | None:
    """The path that documents `name`, which may be a name, a method as Class.method, or a whole path; else None."""
    known = pages()
    if name in parameters:
        return None
    if name in known or name in known.values():
        return known.get(name, name)
    if name.startswith("isbe_np.") and name.rpartition(".")[2] in isbe_np.__all__:
        return known.get(name.rpartition(".")[2])
    owner, _, method = name.rpartition(".")
    if owner in known:
        module, _, name = known[owner].rpartition(".")
        found = getattr(getattr(import_module(module), name), method, None)
        if getattr(found, "__doc__", None) and (inspect.isfunction(found) or isinstance(found, property)):
            return f"{known[owner]}.{method}"
    return None


def convert(app, what, name, obj, options, lines):
    """For Sphinx's event autodoc-process-docstring."""
    if what in ("data", "attribute"):  # the docstring of a tuple or a number is that of its type
        lines.clear()
        return
    try:
        parameters = inspect.signature(obj).parameters
    except (TypeError, ValueError):
        parameters = ()
    lines[:] = to_rst(lines, lambda word: target_of(word, parameters))


def find(app, env, node, contnode):
    """For Sphinx's event missing-reference: isbe_np.heads.head.Head, as annotations have it, stands in isbe_np.heads."""
    target = str(node.get("reftarget", ""))
    known = pages().get(target.rpartition(".")[2])
    if node.get("refdomain") != "py" or known is None or not target.startswith("isbe_np.") or target == known:
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", known, node, contnode)


def setup(app):
    """For Sphinx."""
    app.connect("autodoc-process-docstring", convert)
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
