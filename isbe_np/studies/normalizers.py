"""Which normalizers and losses suit ISBE? Every pair of them, and what each normalizer's map is like, measured in float64.

A pair is measured on one batch: the gradient of the loss in the scores against ISBE's error y − t. The gradient is found by
the chain rule through y (route "jacobian" or "factored") where there is one, and otherwise by central differences of the loss.

A map suits when it is the gradient of a smooth convex function: then y − t is the gradient of a convex loss. That is to say
that its Jacobian is symmetric and positive semi-definite (so the map is monotone: a step in the scores never turns back), and
Lipschitz (so a step size exists). A bounded range keeps the error bounded too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from isbe_np.heads import LOSSES, NORMALIZERS, Head
from isbe_np.studies.measure import relative_difference

BATCH, CLASSES, SPREAD = 64, 10, 3.0
STEP = 6e-6
# Largest relative difference that counts as equal, by how the gradient was found.
TOLERANCE = {"chain rule": 1e-12, "differences": 1e-6}
# Error of a derivative by central differences of soft scores.
SLACK = 1e-7
CONSTANTS = {"softmax": 1 / 2, "sigmoid": 1 / 4, "tanh": 1.0, "hardsigmoid": 1 / 6, "hardtanh": 1.0, "identity": 1.0,
             "sparsemax": 1.0}


def lipschitz_constant(name: str, classes: int) -> float | None:
    """Smallest L with ‖s(x) − s(x′)‖ ≤ L ‖x − x′‖ for that many classes (at least 2); None where it is not known.

    Only entmax15 depends on their number. With s = √y, so ‖s‖ = 1, and v the eigenvector, vᵀJv = min over c of Σ s (v − c)².
    That is linear in s and convex in c, so the largest over s is min over c of √Σ(v − c)⁴. Two tied classes, v = (1, −1)/√2,
    give 1/√2. One class against n even ones give (n + 1)/√n · (1 + ∛n)^−1.5, more than 1/√2 from 48 classes on. No v was
    found to give more than both. J ≤ diag(s) bounds all by 1, to which the latter tends.
    """
    if name != "entmax15":
        return CONSTANTS.get(name)
    n = classes - 1
    return max(math.sqrt(0.5), (n + 1) / math.sqrt(n) * (1 + n ** (1 / 3)) ** -1.5)


@dataclass
class Cell:
    """One normalizer with one loss.

    `verdict` is "equal" or "different", of the loss's gradient and ISBE's error, or "refused". `difference` is max |gradient
    − error| / max |error|, `size` is ‖gradient‖ / ‖error‖, `by` how the gradient was found, `sentence` the Head's own
    refusal: of the loss, or, where the gradient was found by differences, of the chain rule.
    """

    normalizer: str
    loss: str
    verdict: str
    difference: float | None = None
    size: float | None = None
    by: str = ""
    sentence: str = ""


@dataclass
class Properties:
    """What one normalizer's map is like, measured. `table` is the known Lipschitz constant, where one is known.

    `symmetry` is max |J − Jᵀ|, `smallest` the least eigenvalue of (J + Jᵀ)/2, `lipschitz` the largest ‖J‖₂ or secant slope;
    `low` and `high` hold the soft scores of all scores tried, the largest of which are some 1e4 and more; `bounded` is False
    too where such scores have no finite soft scores.
    """

    normalizer: str
    monotone: bool
    bounded: bool
    low: float
    high: float
    lipschitz: float
    table: float | None
    symmetry: float
    smallest: float

    @property
    def gradient_of_convex(self) -> bool:
        """True when every Jacobian was symmetric and positive semi-definite, within the error of differences."""
        return self.symmetry <= SLACK and self.smallest >= -SLACK

    @property
    def suits(self) -> bool:
        """True for a monotone gradient of a convex function with bounded range."""
        return self.monotone and self.gradient_of_convex and self.bounded


@dataclass
class NormalizerStudy:
    """All cells and all properties, with the size and seed of the batch that they were measured on."""

    batch: int
    classes: int
    seed: int
    cells: list[Cell]
    properties: list[Properties]

    def as_dict(self) -> dict:
        """The same as plain lists and numbers, for JSON."""
        return asdict(self)

    def cell(self, normalizer: str, loss: str) -> Cell:
        """The cell of that normalizer and loss; KeyError where there is none."""
        return {(cell.normalizer, cell.loss): cell for cell in self.cells}[normalizer, loss]

    def conclusions(self) -> list[str]:
        """What the numbers support, one sentence each."""
        equal = [cell for cell in self.cells if cell.verdict == "equal"]
        flat = dict.fromkeys(cell.normalizer for cell in equal if cell.sentence)
        named = _list(f"{cell.normalizer} with {cell.loss}" for cell in equal if cell.loss != "matching")
        return [f"ISBE's error is the gradient of the matching loss of "
                f"{_list(cell.normalizer for cell in equal if cell.loss == 'matching')}; under another name: {named}.",
                f"No chain rule through the soft scores gives it for {_list(flat)}.",
                f"Gradients of convex functions with bounded range: {_list(p.normalizer for p in self.properties if p.suits)}; "
                f"not: {_list(p.normalizer for p in self.properties if not p.suits)}.",
                "Measured on one batch: a cell found different is different, but a property that held on every score tried "
                "is not thereby proved."]


def normalizers(extra: Iterable = (), seed: int = 0) -> NormalizerStudy:
    """Measure all of `NORMALIZERS`, and the objects in `extra` (see `isbe_np.Normalizer`), with every loss."""
    random = np.random.default_rng(seed)
    scores = SPREAD * random.normal(size=(BATCH, CLASSES))
    labels = random.integers(0, CLASSES, BATCH)
    subjects = {name: name for name in NORMALIZERS} | _named(extra)
    return NormalizerStudy(
        BATCH, CLASSES, seed,
        [_cell(name, subject, loss, scores, labels) for name, subject in subjects.items() for loss in LOSSES],
        [_properties(name, subject, scores, np.random.default_rng(seed)) for name, subject in subjects.items()])


def _named(extra: Iterable) -> dict:
    """The objects by a name of their own: that of the class where they have none, numbered where it is taken."""
    named: dict = {}
    for subject in extra:
        name = getattr(subject, "name", "custom")
        name = first = type(subject).__name__ if name == "custom" else name
        number = 1
        while name in named or name in NORMALIZERS:
            number += 1
            name = f"{first} {number}"
        named[name] = subject
    return named


def _cell(name: str, subject, loss: str, scores: np.ndarray, labels: np.ndarray) -> Cell:
    try:
        head = Head(subject, reduction="none", loss=loss)
        head.forward(scores)
        error = head.backward(labels)
        gradient, by, sentence = _gradient(head, scores, labels)
    except (ValueError, FloatingPointError) as refusal:
        return Cell(name, loss, "refused", sentence=str(refusal))
    difference = relative_difference(gradient, error)
    return Cell(name, loss, "equal" if difference <= TOLERANCE[by] else "different", difference,
                float(np.linalg.norm(gradient) / np.linalg.norm(error)), by, sentence)


def _gradient(head: Head, scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, str, str]:
    """∂loss/∂scores (N, C), how it was found, and why not by the chain rule."""
    sentence = ""
    for route in ("jacobian", "factored"):
        try:
            head.route = route
            return head.backward(labels), "chain rule", ""
        except ValueError as refusal:
            sentence = sentence or str(refusal)

    def loss(x):
        head.forward(x)
        return head.loss(labels)

    return _slopes(loss, scores), "differences", sentence


def _slopes(function, x: np.ndarray) -> np.ndarray:
    """∂function/∂x_j in the last axis, j, by central differences; function (N, C) → (N, ...) row by row."""
    moves = STEP * np.eye(x.shape[1])
    return np.stack([(function(x + move) - function(x - move)) / (2 * STEP) for move in moves], axis=-1)


def _properties(name: str, subject, scores: np.ndarray, random: np.random.Generator) -> Properties:
    head = Head(subject)
    x = np.concatenate([_tied(scores.shape[1]), 0.1 * scores, scores / SPREAD, scores])
    y, J = head.forward(x), _slopes(head.forward, x)
    step = random.normal(size=x.shape) * 10 ** random.uniform(-3, 1, (len(x), 1))
    change = head.forward(x + step) - y
    near, far = _soft(head, 1e2 * scores), _soft(head, 1e4 * scores)
    secant = np.linalg.norm(change, axis=1) / np.linalg.norm(step, axis=1)
    every = np.concatenate([y, near, far])
    return Properties(
        name,
        monotone=bool(((change * step).sum(axis=1) >= -1e-12).all()),
        bounded=bool(np.abs(far).max() <= 2 * np.abs(near).max()),
        low=float(np.nanmin(every)), high=float(np.nanmax(every)),
        lipschitz=float(max(np.linalg.norm(J, 2, axis=(1, 2)).max(), secant.max())),
        table=lipschitz_constant(name, scores.shape[1]),
        symmetry=float(np.abs(J - J.swapaxes(1, 2)).max()),
        smallest=float(np.linalg.eigvalsh((J + J.swapaxes(1, 2)) / 2).min()))


def _soft(head: Head, scores: np.ndarray) -> np.ndarray:
    """Soft scores, NaN throughout where the normalizer returns none that are finite."""
    try:
        return head.forward(scores)
    except FloatingPointError:
        return np.full_like(scores, np.nan)


def _tied(classes: int) -> np.ndarray:
    """Scores where maps are steepest: all 0, and 0 for two classes and far less for the others."""
    two = np.full((1, classes), -50.0)
    two[:, :2] = 0
    return np.concatenate([np.zeros((1, classes)), two])


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
