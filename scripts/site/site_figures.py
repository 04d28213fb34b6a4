"""Pictures of the tutorials: they make matplotlib Figures without pyplot, which sphinx-gallery does not look for by itself."""

from weakref import WeakSet

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

saved: WeakSet[Figure] = WeakSet()


def title_of(figure: Figure) -> str:
    """What the picture is called to those who cannot see it: its title, or its panels' titles."""
    titles = [figure.get_suptitle()] if figure.get_suptitle() else [ax.get_title() for ax in figure.axes]
    return ", ".join(" ".join(title.split()) for title in titles if title) or "figure"


def scrape(block, block_vars, gallery_conf) -> str:
    """Save every Figure among the tutorial's variables that has not been saved before; the pictures as reStructuredText."""
    paths, titles = [], []
    for value in list(block_vars["example_globals"].values()):
        if isinstance(value, Figure) and value not in saved:
            saved.add(value)
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=150)
            paths.append(path)
            titles.append(title_of(value))
    return figure_rst(paths, gallery_conf["src_dir"], "; ".join(titles))
