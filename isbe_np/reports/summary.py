"""Results as text for a terminal, and as JSON for a program. Nothing here prints."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np

from isbe_np.explain import Explanation
from isbe_np.storage.files import one_line
from isbe_np.studies.comparison import TOLERANCE, Agreement, Comparison
from isbe_np.studies.cost import Cost, HeadCosts, StepCosts
from isbe_np.studies.kernels import KernelComparison
from isbe_np.studies.measure import Ratio
from isbe_np.studies.normalizers import Cell, NormalizerStudy
from isbe_np.tables import WIDEST, page, table, wrapped

# g = ∂loss/∂y, where a few characters hold it
GRADIENTS = {"cross_entropy": "-t / y", "binary_cross_entropy": "(1-t)/(1-y)-t/y", "squared": "y - t"}


def environment_text(environment: dict, width: int = WIDEST) -> str:
    """One setting a line; a value that is too long for `width` goes on under its beginning.

    Both its name and its value may come out of somebody's file.
    """
    lines = {one_line(name): one_line(str(value)) for name, value in environment.items()}
    names = max(map(len, lines), default=0)
    return "\n".join(textwrap.fill(value, width, initial_indent=f"{name:<{names}}  ", subsequent_indent=" " * (names + 2),
                                   break_on_hyphens=False, break_long_words=False) for name, value in lines.items())


def settings_line(environment: dict) -> str:
    """The settings that a time depends on, in one line."""
    e = environment
    return (f"{e['cpu']}, {e['cores']} cores, {e['threads']} threads ({e['threading_layer']}), JIT "
            f"{'on' if e['jit'] else 'OFF'}, bounds checks {'ON' if e['boundscheck'] else 'off'}, "
            f"Python {e['python']}, NumPy {e['numpy']}, Numba {e['numba']}; BLAS {e['blas']}")


def agreement_table(agreements: list[Agreement], width: int = WIDEST) -> str:
    """A row for each network and pair of routes, float32 beside float64."""
    rows: dict[tuple[str, str], dict[str, Agreement]] = {}
    for a in agreements:
        rows.setdefault((a.network, " / ".join(a.pair)), {})[a.dtype] = a
    lines = [(network, pair, *(text for dtype in TOLERANCE for text in _gaps(row[dtype])))
             for (network, pair), row in rows.items()]
    header = ("network", "routes", *(text for dtype in TOLERANCE for text in (f"{dtype} head", "gradients")))
    return table(header, lines, left=2, keys=2, width=width)


def _gaps(a: Agreement) -> tuple[str, str]:
    return f"{a.head:.1e}", f"{a.gradient:.1e}" + ("" if a.within else " !")


def head_table(heads: list[HeadCosts], width: int = WIDEST) -> str:
    """A row for each number of classes and route."""
    rows = [(f"{head.batch} x {head.classes:,}", cost.route, f"{cost.seconds * 1e6:,.1f}", *_ratio(cost),
             _bytes(cost.memory)) for head in heads for cost in head.costs]
    return table(("scores", "route", "median µs", "x isbe", "95 % interval", "peak memory"), rows, left=2, keys=2, width=width)


def step_table(steps: StepCosts, width: int = WIDEST) -> str:
    """A row for each route."""
    rows = [(steps.network, cost.route, f"{cost.seconds * 1e3:.2f}", *_ratio(cost)) for cost in steps.costs]
    return table(("network", "route", "median ms", "x isbe", "95 % interval"), rows, left=2, keys=2, width=width)


def _ratio(cost: Cost) -> tuple[str, str]:
    return ("1", "") if cost.route == "isbe" else _ratio_words(cost.ratio)


def _ratio_words(ratio: Ratio) -> tuple[str, str]:
    return f"{ratio.value:.3g}", f"{ratio.low:.3g} to {ratio.high:.3g}"


def kernels_table(found: KernelComparison, width: int = WIDEST) -> str:
    """A row for each network and set of kernels; beside plain, how far it is from fast."""
    gaps = {(a.network, a.dtype): f"{a.gradient:.1e}" + ("" if a.within else " !") for a in found.agreements}
    rows = []
    for costs in found.costs:
        for cost in costs.costs:
            apart = [gaps[costs.network, dtype] if cost.kernels == "plain" else "" for dtype in TOLERANCE]
            ratio = ("1", "") if cost.kernels == "fast" else _ratio_words(cost.ratio)
            rows.append((costs.network, cost.kernels, f"{cost.seconds * 1e3:.2f}", *ratio, *apart))
    return table(("network", "kernels", "median ms", "x fast", "95 % interval", *(f"{dtype} gradients" for dtype in TOLERANCE)),
                 rows, left=2, keys=2, width=width)


def _bytes(count: float | None) -> str:
    if count is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:  # 999.6 would be printed as 1e+03
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def comparison_text(found: Comparison, width: int = WIDEST) -> str:
    """The whole comparison: five tables and what they mean."""
    one, two = found.twins[0], found.twins[-1]
    epochs = [(k + 1, *(f"{twin.history.accuracy[k]:.2%}" for twin in (one, two)),
               *(f"{twin.history.gradient_norm[k]:.6g}" for twin in (one, two)))
              for k in range(min(len(twin.history.accuracy) for twin in (one, two)))]
    names = (one.route, two.route)
    measured = sum(found.seconds.values())
    parts = [
        f"{found.data}, seed {found.seed}, {found.kernels} kernels\n{settings_line(found.environment)}",
        "1. Do the routes agree?  largest |a - b| / largest |b|, of the head's error and of any parameter's gradient"
        "\n\n" + agreement_table(found.agreements, width),
        "2. What does the head cost?  softmax forward and backward, float32\n\n" + head_table(found.heads, width),
        f"3. What does a training step cost?  batch {found.steps.batch}, float32, everything included\n\n"
        + step_table(found.steps, width),
        "4. The second switch: do plain and fast kernels agree, and what does each cost?  the same training step; largest "
        "|plain - fast| / largest |fast| of any parameter's gradient"
        + ("\n\n" + kernels_table(found.switched, width) if found.switched.costs else ""),
        "5. Do two of them train alike?  same seed, same batches\n\n"
        + table(("epoch", *(f"{n} accuracy" for n in names), *(f"{n} gradient norm" for n in names)), epochs, left=0,
                width=width),
        "What this says\n\n" + "\n".join(f"- {sentence}" for sentence in found.conclusions()),
        f"{measured:.1f} s measured, of which {found.compiling:.1f} s compiling kernels (in none of the times above).",
    ]
    return page(parts, width)


def normalizers_text(found: NormalizerStudy, width: int = WIDEST) -> str:
    """Two tables, every kind of refusal once, and what they mean."""
    losses = tuple(dict.fromkeys(cell.loss for cell in found.cells))
    cells = [(p.normalizer, *(_verdict(found.cell(p.normalizer, loss)) for loss in losses)) for p in found.properties]
    maps = [(p.normalizer, "yes" if p.monotone else "NO", f"{p.low:.3g} to {p.high:.3g}" + ("" if p.bounded else ", unbounded"),
             f"{p.lipschitz:.6f}", "" if p.table is None else f"{p.table:.6f}", f"{p.symmetry:.0e}", f"{p.smallest:.0e}",
             "yes" if p.suits else "NO") for p in found.properties]
    refusals = {"".join(cell.sentence.split("'")[::2]): cell.sentence  # alike but for the names in quotes
                for cell in reversed(found.cells) if cell.sentence}
    return page([
        f"1. Is ISBE's error the gradient of the loss?  {found.batch} x {found.classes} scores, seed {found.seed}: largest "
        "|gradient - error| / largest |error|\n\n" + table(("normalizer", *losses), cells, left=1 + len(losses), width=width),
        "x: |gradient| / |error|, both in the 2-norm.  *: by central differences of the loss, as there is no chain rule.",
        "Refused, in the head's words:\n" + "\n".join(f"- {sentence}" for sentence in reversed(refusals.values())),
        "2. What is each normalizer's map like?  measured, J by central differences\n\n"
        + table(("normalizer", "monotone", "range", "Lipschitz", "known", "|J - Jt|", "least eigenvalue", "suits"), maps,
                  width=width),
        "What this says\n\n" + "\n".join(f"- {sentence}" for sentence in found.conclusions())], width)


def _verdict(cell: Cell) -> str:
    if cell.difference is None:
        return cell.verdict
    if cell.verdict == "different":
        return f"different {cell.difference:.2g}, x {cell.size:.2g}"
    return f"equal {cell.difference:.0e}" + (" *" if cell.sentence else "")


@dataclass
class Row:
    """One line: the array it belongs to and that array's shape (empty where a line goes on), what it is, a number a class."""

    part: str
    shape: str
    what: str
    numbers: np.ndarray


def explanation_title(found: Explanation) -> str:
    """What is explained, in one line."""
    dilation = getattr(found.head.normalizer, "dilation", None)
    k = "" if dilation is None else f", dilation {np.array2string(dilation, separator=', ')}"
    return f"{found.name}{k}, loss {found.head.loss_name}, route {found.head.route}, {found.scores.dtype}"


def explanation_rows(found: Explanation) -> list[list[Row]]:
    """Every number in the order in which it is computed, in groups: from x to y and t, J, g, product, error."""
    shape, chosen = f"({len(found.scores)},)", found.head.route
    groups = [[Row("x", shape, "scores", found.scores), *(Row("", "", step, row) for step, row in found.steps.items()),
               Row("y", shape, found.name, found.soft), Row("t", shape, "target", found.targets)]]
    if found.jacobian is not None:
        groups.append(_matrix("J", "J[{0}, i]", found.jacobian))
    if found.gradient is not None:
        groups.append([Row("g", shape, GRADIENTS.get(found.head.loss_name, "dloss/dy"), found.gradient)])
    if found.terms is not None:
        groups.append([*_matrix("Jt g", "J[{0}, i] g[{0}]", found.terms),
                       *(Row("", shape, "sum over j", e) for route, e in found.errors.items() if route == "jacobian")])
    groups.append([Row("e", shape, f"by {chosen}", found.error), Row("y - t", shape, "", found.errors["isbe"]),
                   Row("", shape, "e - (y - t)", found.difference),
                   *(Row("", "", f"by {route}", e) for route, e in found.errors.items() if route not in (chosen, "isbe"))])
    return groups


def _matrix(part: str, what: str, matrix: np.ndarray) -> list[Row]:
    """A line for each row of a matrix (C, C)."""
    return [Row("" if j else part, "" if j else f"{matrix.shape}", what.format(j), row) for j, row in enumerate(matrix)]


def explanation_text(found: Explanation, width: int = 80) -> str:
    """Every number under its class, in blocks of as many classes as `width` columns hold; then what they say."""
    C, groups = len(found.scores), explanation_rows(found)
    rows = [row for group in groups for row in group]
    label = sum(max(len(getattr(row, part)) for row in rows) + 2 for part in ("part", "shape", "what"))
    cell = 2 + max(len("class 0") + (C > 10), *(len(number(value)) for row in rows for value in row.numbers))
    blocks = math.ceil(C / max(1, (width - label + 2) // cell))
    parts = [explanation_title(found)]
    for b in range(blocks):
        classes = range(b * C // blocks, (b + 1) * C // blocks)
        lines: list[tuple] = []
        for group in groups:
            lines += [("",) * (3 + len(classes))] * bool(lines)
            lines += [(row.part, row.shape, row.what, *(number(row.numbers[j]) for j in classes)) for row in group]
        parts.append(table(("", "shape", "", *(f"class {j}" for j in classes)), lines, left=3, keys=3, width=width))
    said = (wrapped(f"- {sentence}", min(width, WIDEST)) for sentence in found.sentences)
    return "\n\n".join([wrapped(parts[0], width), *parts[1:], "\n".join(said)])


def number(value: float) -> str:
    """A number in some nine characters; whole ones without decimals, so that an exact 0 or 1 is told from a rounded one."""
    value = float(value)
    size = abs(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else str(value)
    if size < 1e5 and value == int(value):
        return str(int(value))
    return f"{value:.4f}" if 1e-3 <= size < 100 else f"{value:.2f}" if 100 <= size < 1e5 else f"{value:.1e}"
