"""Write scripts/STUDY.md and its figures from the stored results in scripts/study: the paper's claims, and what was measured.

    python scripts/write_study.py [--results DIR] [--out FILE]

Nothing is measured here. Each result is one command's JSON, which the report names; run that command again, with its `--json`
into the folder, and then this script. A verdict follows from the numbers by the rules that stand beside it below.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from isbe_np import plots
from isbe_np.cli.options import file_path
from isbe_np.reports.summary import normalizers_text, settings_line
from isbe_np.reports.timing import timing_text
from isbe_np.storage.files import write_text
from isbe_np.studies.accuracy import AccuracyStudy, mean_sd, paired
from isbe_np.studies.comparison import TOLERANCE
from isbe_np.studies.data import OTHERS, DataStudy
from isbe_np.studies.failures import Failures
from isbe_np.studies.from_json import restore
from isbe_np.studies.normalizers import NormalizerStudy
from isbe_np.studies.reductions import Reductions
from isbe_np.studies.scaling import ScalingStudy
from isbe_np.studies.time_saved import VERDICTS
from isbe_np.studies.timing import TimingStudy

FOLDER = Path(__file__).resolve().parent
# By result: what restores it, what draws it, and the command that measures it.
RESULTS = {
    "accuracy_mnist": (AccuracyStudy, plots.accuracy_figure,
                       "isbe study accuracy --data mnist --nets n0 lenet5 --workers 2"),
    "accuracy_n1": (AccuracyStudy, None, "isbe study accuracy --data mnist --nets n1 --workers 2"),
    "accuracy_cifar10": (AccuracyStudy, plots.curves_figure, "isbe study accuracy --data cifar10 --unverified --nets "
                         "resnet --normalizers softmax --seeds 2 --workers 2"),
    "data_mnist": (DataStudy, None, "isbe study data --data mnist --images 1000 4000 16000 --workers 2"),
    "data_cifar10": (DataStudy, plots.data_figure, "isbe study data --data cifar10 --unverified --seeds 2 --workers 2"),
    "timing": (TimingStudy, plots.timing_figure, "isbe study timing --batches 1 8 64 512 1024"),
    "scaling": (ScalingStudy, plots.scaling_figure, "isbe study scaling"),
    "normalizers": (NormalizerStudy, None, "isbe study normalizers"),
    "reductions": (Reductions, plots.reductions_figure, "isbe study reductions --workers 2"),
    "failures": (Failures, plots.failures_figure, "isbe study failures --workers 2"),
}
NEAR = 0.2  # points of accuracy that count as the same
HIGH = 99.5  # per cent, the paper's accuracy


def means(study, network):
    """By normalizer, the mean accuracy by ISBE in per cent."""
    found = {row.normalizer: [100 * v for v in row.isbe if v is not None] for row in study.rows if row.network == network}
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def reached_words(studies, trained):
    """> 99.5 % on MNIST: which networks; `trained` are runs of `isbe train` with n2."""
    best = {row.network: row.isbe for study in studies for row in study.rows if row.normalizer == "softmax"}
    if trained:
        best["n2"] = [run["accuracy"] for run in trained["runs"]]
    above = [name for name, values in best.items() if 100 * np.mean([v for v in values if v is not None] or [0]) >= HIGH]
    verdict = f"holds for {', '.join(above)}" if above else "not reached by the networks of this table"
    return verdict, ("Test accuracy by ISBE with softmax, mean ± sd over seeds: "
                     + ", ".join(f"{name} {mean_sd(values)} %" for name, values in best.items())
                     + f". Rule: a mean of at least {HIGH} %. n2 has batch norm, and images turned and shifted; it was "
                       "trained by `isbe train --data mnist --net n2 --seed SEED`.")


def same_words(studies):
    """As accurate as the cross-entropy: paired by seed, where both send the same gradient."""
    rows = [(study.data, row) for study in studies for row in study.rows if row.differences and "fused" in row.rival]
    told = [f"{data} {row.network} {row.normalizer} {paired(row.differences)} points (pairs: {len(row.differences)})"
            for data, row in rows]
    far = [f"{row.network} {row.normalizer}" for _, row in rows if abs(100 * np.mean(row.differences)) > NEAR]
    verdict = "holds here" if not far else f"holds, but for {', '.join(far)}"
    return verdict, f"ISBE less its rival, mean of pairs ± standard error: {'; '.join(told)}. Rule: within {NEAR} points."


def five_words(studies):
    """The same accuracy for five normalizers."""
    told, far = [], []
    for study in studies:
        for network in dict.fromkeys(row.network for row in study.rows):
            found = means(study, network)
            if len(found) > 1:
                gaps = {name: mean - found["softmax"] for name, mean in found.items()}
                far += [f"{name} on {network}" for name, gap in gaps.items() if abs(gap) > NEAR]
                told.append(f"{network}: " + ", ".join(f"{name} {found[name]:.2f} % ({gap:+.2f})"
                                                       for name, gap in gaps.items()))
    chain = [f"{row.network} {row.normalizer} {mean_sd(row.other)} % against {mean_sd(row.isbe)} %" for study in studies
             for row in study.rows if "squared" in row.rival and len(row.differences) == len(row.isbe)]
    verdict = "holds here" if not far else f"holds, but for {', '.join(far)}"
    return verdict, (f"Mean accuracy by ISBE (less softmax's): {'; '.join(told)}. Rule: within {NEAR} points. By the "
                     "chain rule through the hard forms' flat zones, with squared error, in place of ISBE: "
                     f"{'; '.join(chain)}.")


def grown_words(study):
    """Agreement and accuracy as data grows."""
    limit = TOLERANCE["float32"]
    far = [f"the accuracy with {row.images or 'all'} images" for row in study.rows
           if row.differences and abs(100 * np.mean(row.differences)) > NEAR]
    far += [f"the route {route}, which is up to {worst:.0e} from isbe" for route in OTHERS
            if (worst := max((gap for row in study.rows for gap in row.gaps.get(route, [])), default=0)) > limit]
    verdict = "holds here" if not far else f"holds, but for {' and '.join(far)}"
    return verdict, f"{' '.join(study.conclusions())} Rule: within {NEAR} points, and gradients within {limit:.0e}."


def sum_up(found, trained):
    """Claim, verdict and what was measured, in the paper's order."""
    mnist = [found[name] for name in ("accuracy_mnist", "accuracy_n1") if name in found]
    every = mnist + [found[name] for name in ("accuracy_cifar10",) if name in found]
    claims = []
    if "normalizers" in found:
        cell = found["normalizers"].cell("softmax", "cross_entropy")
        claims.append(("With softmax, ISBE's error is the gradient of the cross-entropy",
                       "holds here" if cell.verdict == "equal" else "does not hold here",
                       f"Largest relative difference in float64: {cell.difference:.1e}. For float32 and trained networks see "
                       "below, where data grows."))
    if mnist:
        claims += [("More than 99.5 % on MNIST", *reached_words(mnist, trained)),
                   ("As accurate as by the cross-entropy", *same_words(every)),
                   ("The same for softmax, sigmoid, tanh and their hard forms", *five_words(mnist))]
    if "timing" in found:
        study = found["timing"]
        verdicts = {network: (study.claim(network, "backward", "fused"), study.pooled(network, "backward", "fused").text(),
                              study.claim(network, "step", "fused"), study.pooled(network, "step", "fused").text())
                    for network in study.networks}
        kinds = [f"{kind} for {', '.join(networks)}" for kind in VERDICTS
                 if (networks := [network for network, told in verdicts.items() if told[0] == kind])]
        claims.append(("Up to 3 % of the time of the backward pass is saved", "; ".join(kinds),
                       "Against the fused cross-entropy, that 3 % is saved at some batch size, and the mean over batch sizes "
                       "in % with its 95 % interval: " + "; ".join(
                           f"{network}: backward {told[0]} ({told[1]}), whole step {told[2]} ({told[3]})"
                           for network, told in verdicts.items()) + "."))
    if "scaling" in found:
        claims.append(("Open: does the saving grow with the problem?", "measured",
                       " ".join(found["scaling"].conclusions()[:3])))
    for name in ("data_mnist", "data_cifar10"):
        if name in found:
            claims.append((f"Open: does it hold as data grows? {name.removeprefix('data_')}",
                           *grown_words(found[name])))
    if "normalizers" in found:
        claims.append(("Open: which activations suit, and why?", "answered in part",
                       " ".join(found["normalizers"].conclusions())))
    if "reductions" in found:
        claims.append(("Open: what do reductions do?", "answered", " ".join(found["reductions"].conclusions())))
    if "failures" in found:
        claims.append(("Failures: accuracy falls, gradients explode or vanish", "measured",
                       " ".join(found["failures"].conclusions())))
    return claims


def load(folder):
    """Results that are there, by name, and the environment of each."""
    found, machines = {}, {}
    for name, (kind, _, _) in RESULTS.items():
        path = folder / f"{name}.json"
        if path.exists():
            told = json.loads(path.read_text(encoding="utf-8"))
            found[name], machines[name] = restore(kind, told), told["environment"]
    return found, machines


def text_of(name, study):
    """The study as text."""
    texts = {"normalizers": normalizers_text, "timing": timing_text}
    return texts[name](study) if name in texts else study.text()


def report(found, machines, folder):
    """The report as Markdown."""
    parts = ["# The study", "The paper (arXiv 2311.16357) claims that the cross-entropy need not be computed, that accuracy is "
             "the same, and that up to 3 % of the time is saved; it leaves open whether this scales, which activations suit, "
             "and what reductions do. What was measured here stands below, claim by claim. The paper's networks are not fully "
             "described in what we have of it: ours of the same name are of the customary sizes."]
    trained = folder / "n2.json"
    claims = sum_up(found, json.loads(trained.read_text(encoding="utf-8")) if trained.exists() else {})
    rows = [f"| {claim} | {verdict} |" for claim, verdict, _ in claims]
    parts.append("\n".join(["| claim | verdict |", "| --- | --- |", *rows]))
    parts += [f"## {claim}\n\n**Verdict: {verdict}.** {words}" for claim, verdict, words in claims]
    if (path := folder / "seconds.json").exists():
        told = json.loads(path.read_text(encoding="utf-8"))
        runs = "; ".join(f"seed {run['seed']}: {run['accuracy']:.2%} in {run['seconds']:.1f} s" for run in told["runs"])
        parts.append(f"## How soon 99 %\n\n`python scripts/benchmark_accuracy.py`: {told['network']}, {told['epochs']} epochs, "
                     "route isbe, the whole process from starting Python with compiled kernels: "
                     f"{runs}. {settings_line(told['environment'])}.")
    parts.append("## What was not measured\n\nOne machine; data sets of 28 × 28 and 32 × 32 images and ten classes; no text; "
                 "no ImageNet. CIFAR-10 was a re-encoding, not the official files, as its source says. Fashion-MNIST was not "
                 "at hand. Means of two or three seeds have wide intervals.")
    parts.append("## All results")
    for name, study in found.items():
        parts += [f"### {name}", f"`{RESULTS[name][2]}`", settings_line(machines[name]) + "."]
        parts += [f"![{name}](study/{name}.png)"] if RESULTS[name][1] else []
        parts.append(f"```text\n{text_of(name, study)}\n```")
    return "\n\n".join(parts) + "\n"


def main():
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=file_path, default=FOLDER / "study")
    parser.add_argument("--out", type=file_path, default=FOLDER / "STUDY.md")
    given = parser.parse_args()
    found, machines = load(given.results)
    for name, study in found.items():
        if draw := RESULTS[name][1]:
            draw(study).savefig(given.results / f"{name}.png", dpi=100)
    write_text(given.out, report(found, machines, given.results), follow=True)
    print(f"Written: {given.out}, from {', '.join(found)}")


if __name__ == "__main__":
    main()
