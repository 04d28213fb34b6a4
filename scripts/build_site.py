"""Build the site, landing page, tutorials, explorer, reference and speed, as pages that open without a network.

    python scripts/build_site.py [--out DIR] [--browser [DIR]]

It needs the extra [site], and no network once that is installed. Sphinx's warnings are errors; then every internal link is
checked. With --browser every page is opened in headless Chromium too, at a desk's width and at a phone's: any message on its
console is an error, and so is a page wider than its screen; pictures of the pages go to DIR. Sphinx works
on copies in a temporary folder, so that nothing else is written.
"""

import argparse
import ast
import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "scripts" / "site"
NEEDED = ("sphinx", "sphinx_gallery", "furo", "latex2mathml")
MARK = ".buildinfo"  # Sphinx's own file: what says that a folder holds a site, and may be replaced
sys.path.insert(1, str(SOURCES))

import site_browser  # noqa: E402  they lie in scripts/site
import site_markdown  # noqa: E402
import site_pages  # noqa: E402


def missing() -> list[str]:
    """Modules of the extra [site] that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def gather(folder: Path) -> Path:
    """Copy what the site is made of into `folder`, and write what is made of other files; the folder of Sphinx's sources."""
    source = folder / "site"
    shutil.copytree(SOURCES, source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tutorials", folder / "tutorials", ignore=shutil.ignore_patterns("__pycache__"))
    generated, extra = source / "generated", source / "extra"
    for name in ("kernels", "engine"):
        shutil.copytree(ROOT / "isbe_np" / name, generated / name, ignore=shutil.ignore_patterns("__pycache__"))
    extra.mkdir()
    shutil.copy(ROOT / "tutorials" / "explorer.html", extra / "softmax-explorer.html")
    shutil.copy(ROOT / "tutorials" / "collapse.png", generated)
    speed = (ROOT / "scripts" / "BENCHMARKS.md").read_text(encoding="utf-8")
    (generated / "speed.txt").write_text(site_markdown.to_rst(speed), encoding="utf-8")
    (generated / "kernels.txt").write_text(kernel_table(), encoding="utf-8")
    (source / "assignments").mkdir()
    for handout in sorted((ROOT / "tutorials" / "assignments").glob("*/handout.md")):
        page = source / "assignments" / f"{handout.parent.name}.rst"
        page.write_text(whole_page(handout.read_text(encoding="utf-8")), encoding="utf-8")
    instructors = (ROOT / "tutorials" / "assignments" / "README.md").read_text(encoding="utf-8")
    (source / "instructors.rst").write_text(whole_page(instructors), encoding="utf-8")
    shutil.copytree(ROOT / "scripts" / "study", source / "study", ignore=shutil.ignore_patterns("*.json"))
    study = (ROOT / "scripts" / "STUDY.md").read_text(encoding="utf-8")
    (source / "study.rst").write_text(whole_page(study), encoding="utf-8")
    return source


def whole_page(markdown: str) -> str:
    """A text in Markdown with its title as a page."""
    title = markdown.split("\n", 1)[0].removeprefix("# ")
    return f"{title}\n{'=' * len(title)}\n\n{site_markdown.to_rst(markdown)}"


def kernel_table() -> str:
    """Every file of kernels with the first sentence of its docstring, as a list for Sphinx."""
    rows = []
    for path in sorted((ROOT / "isbe_np" / "kernels").glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        sentence = site_markdown.inline(text.split("\n\n")[0].replace("\n", " "))
        rows.append(f":download:`{path.name} </generated/kernels/{path.name}>`\n    {sentence}\n")
    return "\n".join(rows)


def run_sphinx(source: Path, pages: Path, doctrees: Path) -> int:
    """Sphinx's exit code. Tutorials see no terminal, so that none waits for a key."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-d", doctrees, source, pages]
    return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL).returncode


def faults_of_lessons(out: Path) -> list[str]:
    """A sentence for each tutorial that the gallery left out, or that lost its figures or the folding of its solutions."""
    found = []
    for script in sorted((ROOT / "tutorials").glob("plot_*.py")):
        page = out / "gallery" / f"{script.stem}.html"
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        wanted = {"page": "<h1>", "figure": f"sphx_glr_{script.stem}_001.png",
                  "folded solutions": "<details class='solutions'>"}
        found += [f"gallery/{page.name} has no {what}" for what, mark in wanted.items() if mark not in text]
    return found


def replace(out: Path, pages: Path) -> None:
    """Put the new site in the place of an older one."""
    if out.exists():
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(pages, out)


def main(arguments=None) -> int:
    """Build and check; 0, or 1 where the site is not good, or 2 where it cannot be built."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder of the site; build/site by default")
    parser.add_argument("--browser", type=Path, nargs="?", const=ROOT / "build" / "site-pictures", metavar="DIR",
                        help="open every page in Chromium as well; pictures go to DIR, build/site-pictures by default")
    options = parser.parse_args(arguments)
    out, start = options.out.resolve(), time.monotonic()
    if absent := missing():
        print(f"build_site needs the extra [site], and not all of it is installed (missing: {', '.join(absent)}): "
              'pip install -e ".[site]"', file=sys.stderr)
        return 2
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / MARK).exists())):
        print(f"build_site replaces its output, and {out} holds something else than a site; name another --out.",
              file=sys.stderr)
        return 2
    with TemporaryDirectory() as folder:
        pages = Path(folder) / "pages"
        if run_sphinx(gather(Path(folder)), pages, Path(folder) / "doctrees"):
            print("build_site: Sphinx found faults, told above.", file=sys.stderr)
            return 1
        replace(out, pages)
    found = faults_of_lessons(out) + site_pages.problems(out)
    count = len(list(out.rglob("*.html")))
    print(f"{out}: {count} pages in {time.monotonic() - start:.0f} s", flush=True)
    if options.browser and not found:
        try:
            found = site_browser.problems(out, options.browser)
        except RuntimeError as fault:
            found = [str(fault)]
        print(f"opened in Chromium after {time.monotonic() - start:.0f} s; pictures: {options.browser}", flush=True)
    for problem in found:
        print(f"build_site: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
