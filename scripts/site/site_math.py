"""Formulas as MathML, written while the site is built: the pages need no script for them, and no network."""

from docutils import nodes
from latex2mathml.converter import convert


def mathml(formula: str, display: str) -> str:
    """The formula, in LaTeX, as an element <math>; several lines are aligned at their &."""
    if "\\\\" in formula and "\\begin" not in formula:
        formula = f"\\begin{{aligned}}{formula}\\end{{aligned}}"
    return convert(formula, display=display)


def visit_math(self, node):
    """Write a formula within a line."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_math_block(self, node):
    """Write a formula on lines of its own."""
    self.body.append(self.starttag(node, "div", CLASS="formula") + mathml(node.astext(), "block") + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    """For Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
