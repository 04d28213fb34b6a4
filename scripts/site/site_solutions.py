"""Folds away what stands below a heading *Solutions* in a tutorial, so that an exercise can be tried first."""

from docutils import nodes


def fold(app, doctree):
    """For Sphinx's event doctree-read: put the section's own content between <details> and </details>."""
    for section in list(doctree.findall(nodes.section)):
        if section[0].astext() != "Solutions":
            continue
        end = next((k for k, child in enumerate(section) if _is_footer(child)), len(section))
        section.insert(end, nodes.raw("", "</details>", format="html"))
        section.insert(1, nodes.raw("", "<details class='solutions'><summary>Show them</summary>", format="html"))


def _is_footer(node):
    """Whether sphinx-gallery put the node at the end of the page: the time it took, and its downloads."""
    return isinstance(node, nodes.Element) and any(name.startswith("sphx-glr") for name in node.get("classes", ()))


def setup(app):
    """For Sphinx."""
    app.connect("doctree-read", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
