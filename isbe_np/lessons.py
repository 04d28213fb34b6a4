"""Tutorials that step in a terminal: `python tutorials/plot_01_….py [--no-wait] [--out DIR]`.

A tutorial is a plain script in sphinx-gallery's form: a docstring, then cells that begin with a line ``# %%``. The comments
right after it are the cell's text, in reStructuredText; the rest is its code. Its first statements after the docstring are

    from isbe_np import lessons
    lessons.step()

Run as a script it then steps: a cell's text, what its code prints, its figures as files, and a wait for Enter. A section
"Solutions" waits for an Enter of its own. Everywhere else (an editor's cells, a notebook, the gallery, an import) the two lines
do nothing, and the script runs as it is written.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import os
import re
import sys
import tempfile
import textwrap
import traceback
from pathlib import Path
from typing import NamedTuple

from isbe_np.compiler.cache import announce, announced, cache_folder, kept_kernels
from isbe_np.storage.files import write_figure
from isbe_np.storage.folders import user_path
from isbe_np.tables import WIDEST
from isbe_np.terminal import columns, make_readable

SYMBOLS = {"sum": "Σ", "partial": "∂", "nabla": "∇", "odot": "⊙", "cdot": "·", "times": "×", "top": "ᵀ", "le": "≤", "ge": "≥",
           "ne": "≠", "approx": "≈", "infty": "∞", "to": "→", "in": "∈", "langle": "⟨", "rangle": "⟩", "delta": "δ", "eta": "η",
           "varepsilon": "ε", "lambda": "λ", "sigma": "σ", "tau": "τ", "Phi": "Φ", "quad": "   ", "left": "", "right": ""}
TITLE = re.compile(r"(?:[=~^-]{3,}\n)?(\S.*)\n([=~^-])\2{2,}(?:\n|$)")
SOLUTIONS = r"Solutions\n[=~^-]{3,}$"
DIRECTIVE = re.compile(r" *\.\. (?:([\w-]+)::|_)(.*)\n?")
ITEM = re.compile(r" *(?:[-*]|\d+\.) +")


class Cell(NamedTuple):
    """A part of a tutorial: its text, its code, and the line of the script, from 1, in which the code begins."""

    text: str
    code: str
    line: int


def step() -> None:
    """Step through the calling script and end the process, if Python was started with that script; otherwise do nothing.

    Raises SystemExit: 0 after the last cell, or where the reader stopped; 1 after an error in a cell; 2 for arguments that
    cannot be used; 130 after Ctrl-C.
    """
    caller = sys._getframe(1)
    names = caller.f_globals
    # Editors, notebooks, galleries, debuggers and imports all call the code of a cell or script; here nothing has called it.
    if caller.f_back is None and "__file__" in names:
        raise SystemExit(run(Path(names["__file__"]), names, sys.argv[1:]))


def run(script: Path, names: dict, arguments: list[str]) -> int:
    """Step through `script`, its code run with the global `names`, and return the exit code; see `step`."""
    given = _arguments(script, arguments)
    waits = not given.no_wait and all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    make_readable()
    os.environ["MPLBACKEND"] = "agg"  # figures become files: no window, nor a notebook's backend, is needed
    if not kept_kernels(cache_folder()):
        announce()
    announced()  # in a later cell the notice would stand in the middle of its table
    shown: list = []
    try:
        for number, cell in enumerate(cells(script.read_text(encoding="utf-8"))):
            if number and waits and not _enter("the solutions" if re.match(SOLUTIONS, cell.text, re.MULTILINE) else "next"):
                return 0
            if cell.text:
                print(("\n" if number else "") + plain(cell.text, columns()) + "\n")
            # Empty lines before the code let a traceback name the script's own lines.
            exec(compile("\n" * (cell.line - 1) + cell.code, str(script), "exec", dont_inherit=True), names)
            _save_figures(names, shown, given.out / script.stem)
    except KeyboardInterrupt:  # also of a training in a cell
        print(f"\n{script.name}: interrupted.", file=sys.stderr)
        return 130
    except Exception as fault:
        sys.stdout.flush()
        traceback.print_exception(fault.with_traceback(fault.__traceback__ and fault.__traceback__.tb_next))
        return 1
    return 0


def cells(source: str) -> list[Cell]:
    """The cells of a script: its docstring and the code up to the first ``# %%``, then one from each of these lines on.

    Where a cell's text holds a section "Solutions", that and what follows are a cell of their own.
    """
    lines = source.split("\n")
    marks = [*(k for k, line in enumerate(lines) if re.match(r"# ?%%", line)), len(lines)]
    found = [Cell(ast.get_docstring(ast.parse(source)) or "", "\n".join(lines[:marks[0]]), 1)]
    for start, end in itertools.pairwise(marks):
        code = next((k for k in range(start + 1, end) if not lines[k].startswith("#")), end)
        text = "\n".join(re.sub("^# ?", "", line) for line in lines[start + 1:code])
        *before, text = re.split(rf"\n(?={SOLUTIONS})", text, maxsplit=1, flags=re.MULTILINE)
        found += [Cell(part, "", code + 1) for part in before]
        found.append(Cell(text, "\n".join(lines[code:end]), code + 1))
    return found


def plain(text: str, width: int = WIDEST) -> str:
    """Simple reStructuredText for a terminal of `width` columns.

    Known are titles, paragraphs, lists, literal blocks, ``.. math::``, ``.. code-block::`` and ``.. raw::``, which is left out;
    of other directives only the content is shown.
    """
    shown: list[str] = []
    kind, outer = "", 0  # what the indented block after a directive or "::" is, and how far the text around it is indented
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        indent = len(block) - len(block.lstrip())
        if kind and indent > outer:
            shown += {"raw": [], "math": [mathematics(block)]}.get(kind, [block])
            continue
        kind, outer = "", indent
        if title := TITLE.match(block):
            shown.append(f"{inline(title[1])}\n{title[2] * len(inline(title[1]))}")
            block = block[title.end():]
        if directive := DIRECTIVE.match(block):
            kind, block = {"math": "math", "code-block": "code", "raw": "raw"}.get(directive[1], ""), block[directive.end():]
            if kind == "math" and directive[2]:
                shown.append("    " + mathematics(directive[2].strip()))
            if kind:
                continue
        elif block.endswith("::"):
            kind, block = "code", re.sub(r"(?:^|\s+)::$|:$", "", block)
        if block.strip():
            shown.append(_wrapped(block, width))
    return "\n\n".join(shown)


def inline(text: str) -> str:
    """A line of text without the marks of code, formulas, links, roles and emphasis."""
    text = re.sub(r":math:`([^`]*)`", lambda found: mathematics(found[1]), text)
    text = re.sub(r"``(.+?)``", r"\1", text)
    text = re.sub(r"`([^`<]+?)\s*<([^`>]+)>`__?", r"\1 (\2)", text)
    text = re.sub(r"(?::[\w:]+:)?`~?([^`]+)`_?", r"\1", text)
    return re.sub(r"(?<![\w*])(\*{1,2})(?=\S)([^*]+?)(?<=\S)\1(?!\w)", r"\2", text)


def mathematics(tex: str) -> str:
    """A simple formula of LaTeX in plain letters: Greek, fractions with a slash, braces only where they are needed."""
    def grouped(part):
        return part if len(part) == 1 else f"({part})"
    tex = re.sub(r"\\(?:mathrm|operatorname|text|mathbf)\{([^{}]*)\}", r"\1", tex)
    tex = re.sub(r"([_^])\{([^{}]*)\}", lambda found: found[1] + grouped(found[2]), tex)
    tex = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", lambda found: f"{grouped(found[1])}/{grouped(found[2])}", tex)
    tex = re.sub(r"\\([A-Za-z]+)", lambda found: SYMBOLS.get(found[1], found[1]), tex)
    tex = re.sub(r"\\[,;:! ]", " ", tex).replace("\\{", "(").replace("\\}", ")")
    return re.sub(r"\^[Tᵀ]", "ᵀ", tex).replace("^2", "²").replace("-", "−").replace("{", "").replace("}", "")


def _wrapped(block: str, width: int) -> str:
    """A paragraph, or the items of a list, filled to `width`; each keeps its indentation."""
    filled = []
    for part in re.split(r"\n(?= *(?:[-*]|\d+\.) )", block):
        item, indent = ITEM.match(part), " " * (len(part) - len(part.lstrip()))
        # No line ends within a formula: a space that does not break takes the place of its spaces.
        text = inline(re.sub("``.+?``", lambda code: code[0].replace(" ", "\xa0"), " ".join(part.split())))
        filled.append(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=" " * item.end() if item else indent,
                                    break_long_words=False, break_on_hyphens=False))
    return "\n".join(filled).replace("\xa0", " ")


def _enter(what: str) -> bool:
    """Wait for Enter, and then say whether to go on: not after q, nor at the end of input."""
    try:
        return input(f"\n[Enter: {what}, q: stop] ").strip().lower() != "q"
    except EOFError:
        print()
        return False


def _save_figures(names: dict, shown: list, start: Path) -> None:
    """Save every Figure among `names` that is not in `shown` yet as `start`_1.png and so on, and say where."""
    kind = getattr(sys.modules.get("matplotlib.figure"), "Figure", ())  # where no cell has imported it there are none
    for figure in list(names.values()):
        if isinstance(figure, kind) and not any(figure is other for other in shown):
            shown.append(figure)
            path = start.with_name(f"{start.name}_{len(shown)}.png")
            write_figure(path, figure)
            print(f"Figure: {path}")


def _arguments(script: Path, arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=script.name, description="A lesson in steps.")
    parser.add_argument("--no-wait", action="store_true", help="run through without waiting for Enter")
    parser.add_argument("--out", default="figures", metavar="DIR", help="folder for figures (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        given.out = user_path("--out", given.out, "folder")
        given.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=given.out).close()
    except OSError as fault:
        parser.exit(2, f"{script.name}: --out expects a folder that can be written; {given.out} is none ({fault.strerror}). "
                       f"Name another.\n")
    except (TypeError, ValueError) as fault:
        parser.exit(2, f"{script.name}: {fault}\n")
    return given
