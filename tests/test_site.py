"""The site's sources and its checkers, without Sphinx: `scripts/build_site.py` builds it."""

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import isbe_np as isbe

ROOT = Path(__file__).parent.parent
SITE = ROOT / "scripts" / "site"
sys.path[:0] = [str(ROOT / "scripts"), str(SITE)]

import build_site  # noqa: E402  they are scripts, in no package
import site_docstrings  # noqa: E402
import site_markdown  # noqa: E402
import site_pages  # noqa: E402

PAGES = {path.relative_to(SITE).as_posix(): path.read_text(encoding="utf-8") for path in SITE.rglob("*.rst")}
MADE = ("gallery/index", "instructors", "study")  # by sphinx-gallery, and by build_site from Markdown


def documented():
    """Whole path of everything that an API page documents by name, and all modules whose members it documents."""
    names, modules = set(), {}
    for text in PAGES.values():
        module = ""
        for kind, argument, options in re.findall(r"^\.\. (\w+):: ?(.*)\n((?:   :.*\n)*)", text, re.MULTILINE):
            if kind == "currentmodule":
                module = argument
            elif kind == "automodule":
                modules[argument] = re.search(r":members: ?(.*)", options)
            elif kind.startswith("auto"):
                names.add(f"{module}.{argument}")
    for module, members in modules.items():
        for name in members[1].split(", ") if members and members[1] else ():
            names.add(f"{module}.{name}")
    return names, modules


def test_every_public_name_is_on_a_page_of_the_reference():
    names, modules = documented()
    where = site_docstrings.pages()
    public = [name for name in isbe.__all__ if not inspect.ismodule(getattr(isbe, name))]
    assert not [name for name in public if name not in where] and not [path for path in where.values() if path not in names]
    assert {f"isbe_np.{name}" for name in isbe.__all__ if name not in public} <= modules.keys()


def test_all_studies_and_plots_are_in_the_reference():
    _, modules = documented()
    wanted = [f"isbe_np.studies.{module.name}" for module in pkgutil.iter_modules([ROOT / "isbe_np" / "studies"])]
    wanted.append("isbe_np.plots")
    assert len(wanted) >= 6 and not [module for module in wanted if not modules.get(module)]


def test_everything_the_reference_names_exists():
    names, modules = documented()
    for path in names:
        module, name = path.rsplit(".", 1)
        assert hasattr(importlib.import_module(module), name), path
    for module in modules:
        assert importlib.import_module(module).__doc__, module


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_leads_to_is_there(page, tmp_path):
    text, here = PAGES[page], (SITE / page).parent
    entries = re.findall(r"^   ([\w/]+)$", "".join(re.findall(r"\.\. toctree::\n(?:   :.*\n)*\n((?:   .*\n)+)", text)), re.M)
    targets = entries + re.findall(r":doc:`(?:[^`<]*<)?([\w/]+)>?`", text)
    assert not [target for target in targets if target not in MADE and not (here / f"{target}.rst").exists()]
    files = re.findall(r"\.\. (?:include|figure|literalinclude|image):: (\S+)", text)
    made = {"generated/speed.txt", "generated/kernels.txt", "generated/collapse.png"}
    for file in set(files) - made:
        assert (ROOT / "isbe_np" / file.removeprefix("generated/")).exists(), file


def test_what_is_copied_into_the_site_is_there():
    for place in ("tutorials/explorer.html", "tutorials/collapse.png", "tutorials/GALLERY_HEADER.rst", "scripts/BENCHMARKS.md"):
        assert (ROOT / place).exists(), place


def test_a_docstring_becomes_restructured_text():
    lines = ["Sums |x| of (N, *shape) by `Head` and `x`s, a_ or offset_t, ``y_`` and *so* **on** in 2 * 3 * 4.", "",
             "    y[r] = *", "", "    z", "", "Parameters", "----------", "a, b : first", "    and more of `a`.", "c : c*", "",
             "- one", "- two_"]
    got = site_docstrings.to_rst(lines, {"Head": "isbe_np.Head"}.get)
    assert got == ["Sums \\|x\\| of (N, \\*shape) by :py:obj:`Head <isbe_np.Head>` and ``x``\\ s, a\\_ or offset_t, ``y_`` and "
                   "*so* **on** in 2 \\* 3 \\* 4.", "", "::", "", "    y[r] = *", "", "    z", "", "**Parameters**", "",
                   "``a``, ``b``", "    first", "    and more of ``a``.", "", "``c``", "    c\\*", "", "- one", "- two\\_", ""]


def test_names_in_docstrings_lead_to_where_they_are_documented():
    assert site_docstrings.target_of("Head") == site_docstrings.target_of("isbe_np.Head") == "isbe_np.heads.Head"
    assert site_docstrings.target_of("isbe_np.datasets.load") == "isbe_np.datasets.load"
    assert site_docstrings.target_of("Graph.summary") == "isbe_np.graph.Graph.summary"
    assert site_docstrings.target_of("Graph.values") is None and site_docstrings.target_of("scores") is None
    assert site_docstrings.target_of("accuracy", parameters=("accuracy",)) is None


def test_markdown_becomes_restructured_text():
    rows = "\n".join(["x *"] * (site_markdown.FOLD + 1))
    text = f"# Title\n\nSee `a`, *b* and c_ [here](https://d.e).\n\n## Part\n\n| n | m |\n| --- | --- |\n| 1 | `2` |\n\n" \
           f"```text\nfew *\n```\n\n```text\n{rows}\n```\n"
    got = site_markdown.to_rst(text)
    assert "Title" not in got and "Part\n~~~~" in got
    assert "See ``a``, *b* and c\\_ `here <https://d.e>`__." in got
    assert "   * - n\n     - m\n   * - 1\n     - ``2``" in got
    assert ".. code-block:: text\n\n   few *\n" in got and got.count("<details") == got.count("</details>") == 1


def test_every_kernel_is_in_the_table():
    table = build_site.kernel_table()
    files = [path.name for path in (ROOT / "isbe_np" / "kernels").glob("*.py") if path.name != "__init__.py"]
    assert len(files) > 5 and all(f"`{name} <" in table for name in files)


GOOD = """<html><head><link rel="stylesheet" href="a.css">
<style>b { background: url("data:image/png;base64,AA") }</style></head>
<body><h1 id="top1">T</h1><a href="#top1">up</a><a href="sub/b.html?q=1#%C3%A9">b</a><a href="https://else.where/">out</a>
<a name="old"></a><a href="sub">folder</a><a href="#">top</a><img src="p.png" srcset="p.png 1x, p.png 2x"></body></html>"""


@pytest.fixture
def site(tmp_path):
    """A small site without a fault."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(GOOD, encoding="utf-8")
    (tmp_path / "sub" / "b.html").write_text('<p id="é"><a href="../index.html#old">back</a></p>', encoding="utf-8")
    (tmp_path / "sub" / "index.html").write_text("<p>", encoding="utf-8")
    (tmp_path / "a.css").write_text('p { background: url("p.png") }', encoding="utf-8")
    (tmp_path / "p.png").write_bytes(b"")
    return tmp_path


def test_a_good_site_passes(site):
    assert site_pages.problems(site) == []


@pytest.mark.parametrize("part, word", [
    ('<a href="c.html">', "no file"), ('<a href="../../x.html">', "no file"), ('<a href="sub/b.html#e">', "anchor"),
    ('<a href="#nowhere">', "anchor"), ('<a href="/index.html">', "root"), ('<a href="javascript:x()">', "kind"),
    ('<script src="https://else.where/m.js"></script>', "elsewhere"), ('<img src="//else.where/p.png">', "elsewhere"),
    ('<link rel="preload stylesheet" href="https://else.where/a.css">', "elsewhere"), ('<img src="q.png">', "no file"),
    ('<img srcset="p.png 1x, q.png 2x">', "no file"), ('<iframe src="q.html">', "no file"),
    ('<style>@import "https://else.where/a.css";</style>', "elsewhere"), ('<p style="background: url(q.png)">', "no file"),
    ('<form action="q.html">', "no file"), ('<svg><use xlink:href="q.svg"></svg>', "no file")])
def test_a_fault_in_a_page_is_found(site, part, word):
    page = site / "sub" / "b.html"
    page.write_text(page.read_text(encoding="utf-8") + part, encoding="utf-8")
    if part.startswith('<a href="sub/'):
        page = site / "index.html"
        page.write_text(GOOD + part, encoding="utf-8")
    found = site_pages.problems(site)
    assert any(word in problem and problem.startswith(page.relative_to(site).as_posix()) for problem in found)


def test_a_fault_in_a_style_sheet_is_found(site):
    (site / "a.css").write_text("@font-face { src: url(https://else.where/f.woff2) }", encoding="utf-8")
    assert site_pages.problems(site) == ["a.css: 'https://else.where/f.woff2' is loaded from elsewhere"]


def test_a_lesson_that_lost_its_figures_or_folds_is_found(tmp_path):
    (tmp_path / "gallery").mkdir()
    scripts = sorted((ROOT / "tutorials").glob("plot_*.py"))
    for script in scripts[1:]:
        text = f"<h1><img src='sphx_glr_{script.stem}_001.png'><details class='solutions'>"
        (tmp_path / "gallery" / f"{script.stem}.html").write_text(text if script != scripts[1] else "<h1>", encoding="utf-8")
    one, two = (f"gallery/{script.stem}.html has no" for script in scripts[:2])
    assert build_site.faults_of_lessons(tmp_path) == [f"{one} page", f"{one} figure", f"{one} folded solutions",
                                                      f"{two} figure", f"{two} folded solutions"]


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(build_site.importlib.util, "find_spec", lambda name: None if name == "furo" else object())
    assert build_site.main([]) == 2
    assert capsys.readouterr().err == ('build_site needs the extra [site], and not all of it is installed (missing: furo): '
                                       'pip install -e ".[site]"\n')


def test_a_folder_that_holds_something_else_is_left_alone(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(build_site, "missing", list)
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    assert build_site.main(["--out", str(tmp_path)]) == 2
    assert "something else than a site" in capsys.readouterr().err and (tmp_path / "thesis.tex").exists()
