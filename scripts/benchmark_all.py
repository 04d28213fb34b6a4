"""Run all benchmarks and write scripts/BENCHMARKS.md: machine and settings, then each benchmark's table.

    python scripts/benchmark_all.py [--quick] [--out FILE] [--json FILE]

Close everything else first: it takes some half an hour, and what runs besides is in the figures. With --quick few rounds of
few cases show within minutes that all runs; its figures mean little, and the file says so. --json keeps all figures in a file.
A benchmark that fails is reported in its section, and the exit code is then 1; a script that is not there is left out.
"""

import argparse
import datetime
import json
import shlex
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from isbe_np.cli.options import file_path
from isbe_np.environment import describe
from isbe_np.reports.summary import environment_text, settings_line
from isbe_np.storage.files import write_json

FOLDER = Path(__file__).resolve().parent
INTRO = """# Benchmarks

Times on a machine that is shared, or does anything else besides, vary from minute to minute; the ratios, whose contestants took
turns in one process, are what to trust, within their intervals.
"""
QUICK = """
**This is a quick run: few rounds, few cases. It shows that everything runs; its figures mean little.**
"""
# Of no interest to who reads the figures, or of this machine alone.
PRIVATE = ("jit_cache", "matplotlib", "llvmlite")


@dataclass(frozen=True)
class Section:
    """One benchmark: its title, its script and arguments, and what its columns mean."""

    title: str
    script: str
    arguments: str
    quick: str
    columns: str


SECTIONS = (
    Section("Training steps", "benchmark_training.py", "--compiled", "--compiled --rounds 3 --batches 32 --nets n0 lenet5",
            "Forward, head, backward and an SGD step with momentum, float32, random images. What makes the comparison fair is "
            "told at the head of the script. *median ms* and *quartiles*: of all timed steps, in milliseconds. *x isbe_np*: "
            "the contestant's median over isbe_np's in the same rounds; above 1, isbe_np is the faster. *95 % interval*: of "
            "that ratio, from drawing whole turns again. *turns x steps*: how many turns, of how many timed steps each."),
    Section("Inference", "benchmark_training.py", "--inference --compiled", "--inference --compiled --rounds 3 --nets lenet5",
            "Scores alone, no gradients: `net.forward`, and `torch.inference_mode()`. Columns as above."),
    Section("One epoch", "benchmark_training.py", "--epoch", "--epoch --images 4000 --rounds 2",
            "LeNet-5 through `isbe_np.train`, checks and shuffling included, and through the plainest loop in PyTorch. Columns "
            "as above, but in seconds; whole epochs are drawn again."),
    Section("The head", "benchmark_head.py", "", "--classes 10 1000 --rounds 3",
            "Scores to error, forward and backward, by route and number of classes, beside PyTorch's cross-entropy."),
    Section("Starting up", "benchmark_startup.py", "", "--only import step --repeats 1",
            "What a user waits for at the start, each a process of its own. *cold*: with no compiled kernels kept; *warm*: "
            "with them; *aim*: how many seconds are aimed at."),
    Section("Kernels", "benchmark_kernels.py", "", "--rounds 3",
            "Single kernels, beside PyTorch's where it has the same."),
)


def run(section, quick):
    """What a benchmark printed, what it wrote as JSON, and why it failed, where it did."""
    arguments = shlex.split(section.quick if quick else section.arguments)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "figures.json"
        command = [sys.executable, str(FOLDER / section.script), *arguments, "--json", str(written)]
        done = subprocess.run(command, capture_output=True, text=True)
        figures = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    if done.returncode == 0:
        return done.stdout.rstrip(), figures, ""
    last = (done.stderr.strip() or "no text on standard error").splitlines()[-1]
    return done.stdout.rstrip(), figures, f"Failed with exit code {done.returncode}: {last}"


def section_text(section, printed, figures, failure, quick):
    """The section as Markdown: the ratios, where there are some, and all as it was printed."""
    command = " ".join(filter(None, [f"python scripts/{section.script}", section.quick if quick else section.arguments]))
    parts = [f"## {section.title}", f"`{command}`", filled(section.columns), ratio_table(figures.get("cases", []))]
    parts += [f"```text\n{without_settings(printed, figures)}\n```"] if printed else []
    parts += [f"**{failure}**"] if failure else []
    return "\n\n".join(filter(None, parts))


def ratio_table(cases):
    """Times of isbe_np, and how many times as long the others take, with the interval: a row for each network and batch."""
    if not cases:
        return ""
    others = [who for who in dict.fromkeys(who for case in cases for who in case["contestants"]) if who != "isbe_np"]
    lines = [("network", "batch", "isbe_np ms", *(f"{who}, times as long" for who in others)), ["---"] * (3 + len(others))]
    for case in cases:
        found = case["contestants"]
        lines.append((case["network"], f"{case['batch']:,}", f"{found['isbe_np']['median_seconds'] * 1e3:,.3g}",
                      *(ratio_cell(found.get(who, {})) for who in others)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio_cell(found):
    """A ratio, with its interval where enough turns were measured for one."""
    if "ratio" not in found:
        return "failed" if "failed" in found else ""
    value, low, high = (found["ratio"][part] for part in ("value", "low", "high"))
    return f"{value:.3g}" if low is None else f"{value:.3g} ({low:.3g} to {high:.3g})"


def without_settings(printed, figures):
    """What was printed, less the line of settings that stands at the head of the file."""
    first, _, rest = printed.partition("\n")
    known = "environment" in figures and first.startswith(settings_line(figures["environment"]))
    return rest.strip("\n") if known else printed


def filled(text):
    """Lines of at most 128 characters."""
    return textwrap.fill(text, 128, break_long_words=False, break_on_hyphens=False)


def machine_text(figures, seconds):
    """Date, machine, settings and versions, from the first benchmark that tells them: it has started the threads."""
    environment = next((found["environment"] for found in figures.values() if "environment" in found), None) or describe()
    shown = {name: value for name, value in environment.items() if name not in PRIVATE}
    shown = {"date": datetime.date.today().isoformat()} | shown | {"minutes taken": round(seconds / 60, 1)}
    return f"## Machine and settings\n\n```text\n{environment_text(shown)}\n```"


def repeat_text(absent):
    """How to repeat all of it or one part."""
    how = (
        "`python scripts/benchmark_all.py` writes this file anew (`--quick`: in a few minutes, as a trial). Each section's own "
        "command prints its table alone; `--help` tells its options, `--json FILE` keeps all figures. PyTorch, JAX, autograd "
        "and MyGrad are timed where they are installed, and isbe_np needs none of them; `torch.compile` needs a C++ compiler. "
        "For another number of threads, set `NUMBA_NUM_THREADS`.")
    missing = [f"Left out, as it is not there: `scripts/{script}`." for script in absent]
    return "\n\n".join(["## How to repeat this", filled(how), *missing])


def arguments():
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds of few cases, as a trial")
    parser.add_argument("--out", type=file_path, default=FOLDER / "BENCHMARKS.md")
    parser.add_argument("--json", type=file_path, help="all figures in one file")
    return parser.parse_args()


def main():
    """Run them, tell of each, and write."""
    given, start = arguments(), time.perf_counter()
    there = [section for section in SECTIONS if (FOLDER / section.script).exists()]
    absent = [section.script for section in SECTIONS if section not in there]
    texts, figures, failed = [], {}, False
    for section in there:
        began = time.perf_counter()
        printed, figures[section.title], failure = run(section, given.quick)
        texts.append(section_text(section, printed, figures[section.title], failure, given.quick))
        failed |= bool(failure)
        print(f"{section.title}: {time.perf_counter() - began:.0f} s. {failure}", flush=True)
    parts = [machine_text(figures, time.perf_counter() - start), *texts, repeat_text(absent)]
    given.out.write_text(INTRO + QUICK * given.quick + "\n" + "\n\n".join(parts) + "\n", encoding="utf-8")
    if given.json:
        write_json(given.json, figures)
    print(f"Written: {given.out}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
