"""Sphinx's settings for the site. `build_site.py` runs Sphinx on a copy of this folder, beside a copy of the tutorials."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "isbe_np"
html_title = "isbe_np"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery", "site_docstrings", "site_math",
              "site_solutions"]

html_theme = "furo"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_extra_path = ["extra"]
html_css_files = ["site.css"]
html_favicon = "static/icon.svg"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses for files on a disk
html_theme_options = {"navigation_with_keys": True}
highlight_language = "text"  # what is merely indented is a formula or a picture
smartquotes = False  # "isbe" is a string
pygments_style, pygments_dark_style = "friendly", "monokai"

add_module_names = False
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True

# What annotations name and no page describes: other packages' types, and the insides of this one.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!isbe_np\.).*")]

sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"^(?!plot_)",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("site_figures.scrape",),
    "capture_repr": (),
    "only_warn_on_example_error": True,
    "remove_config_comments": True,
    "first_notebook_cell": "%matplotlib inline",
    "thumbnail_size": (480, 300),
    "show_memory": False,
    "show_signature": False,
    "nested_sections": False,
    "write_computation_times": False,  # a page that loads its table from elsewhere
}
