"""One example step by step: every intermediate from its scores to the error that is sent back, as `Head` computes them.

    found = explain([2, 1, 0.1], target=0)
    print(isbe_np.reports.summary.explanation_text(found))
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from isbe_np import checks
from isbe_np.heads import ROUTES, Head, Normalizer
from isbe_np.heads.losses import gradient
from isbe_np.heads.normalizers import Softmax
from isbe_np.heads.reading import dense_targets
from isbe_np.studies.comparison import TOLERANCE

MOST = 12  # classes: more would fill no page that one can read
WAYS = {"jacobian": "Route 'jacobian' computes all of this: J with its C² numbers, g, and their product.",
        "factored": "Route 'factored' computes g, and the product by a formula without J.",
        "fused": "Route 'fused' computes the loss and its gradient from the scores: neither J nor g.",
        "isbe": "Route 'isbe' computes y, then y - t. What else stands here is for you to see: it needs no loss, no J, no g."}


@dataclass
class Explanation:
    """All that lies between scores x (C,) and the error (C,), by each route that there is.

    steps: what the normalizer computes on the way from x to y, by name, each (C,). jacobian: J (C, C) with
    J[j, i] = ∂y_j/∂x_i. gradient: g = ∂loss/∂y (C,). terms: J[j, i] g[j] (C, C), whose sums over j are the error.
    errors: by route; refused: why, in the head's words, by route that does not exist here, or "loss". None stands
    for what does not exist. Numbers are as the machine gives them, infinity and NaN included where a division by a soft
    score of 0 makes them. sentences: what the numbers say.
    """

    head: Head
    scores: np.ndarray
    steps: dict[str, np.ndarray]
    soft: np.ndarray
    targets: np.ndarray
    jacobian: np.ndarray | None
    gradient: np.ndarray | None
    terms: np.ndarray | None
    errors: dict[str, np.ndarray]
    refused: dict[str, str]
    loss: float | None
    sentences: list[str] = field(default_factory=list)

    @property
    def error(self) -> np.ndarray:
        """The error by the route asked for, (C,)."""
        return self.errors[self.head.route]

    @property
    def difference(self) -> np.ndarray:
        """That error less y - t, (C,)."""
        with np.errstate(all="ignore"):
            return self.error - self.errors["isbe"]

    @property
    def name(self) -> str:
        """The normalizer's."""
        return getattr(self.head.normalizer, "name", type(self.head.normalizer).__name__)

    def as_dict(self) -> dict:
        """Everything as lists and numbers, for JSON; null for what does not exist."""
        arrays = {name: getattr(self, name) for name in ("scores", "soft", "targets", "jacobian", "gradient", "terms", "error",
                                                         "difference")}
        plain = {name: None if array is None else array.tolist() for name, array in arrays.items()}
        return {"normalizer": self.name, "loss_name": self.head.loss_name, "route": self.head.route,
                "dtype": str(self.scores.dtype), **plain, "steps": {name: row.tolist() for name, row in self.steps.items()},
                "errors": {route: e.tolist() for route, e in self.errors.items()}, "refused": self.refused,
                "loss": self.loss, "sentences": self.sentences}


def explain(scores, target, normalizer: str | Normalizer = "softmax", route: str = "isbe", *, loss: str | None = None,
            dilation=None, smoothing: float = 0.0, dtype: str = "float64") -> Explanation:
    """Every intermediate of one example. The arguments but for these are those of `Head`.

    scores : C numbers, at most 12. target : the label's number, or C numbers. smoothing : the share E of the target that is
    spread evenly over the classes, (1 - E) t + E mean(t). dtype : "float32" or "float64", in which all is computed.
    ValueError for what cannot be explained, in the head's words where the head refuses it.
    """
    head = Head(normalizer, route, "sum", loss=loss, dilation=dilation, strict=False)
    x = _read_scores(scores, checks.nearest("explain: dtype", dtype, tuple(TOLERANCE)))
    if not 0 <= smoothing <= 1:
        raise ValueError(f"explain: smoothing expects a share from 0 to 1; got {smoothing}.")
    soft = head.forward(x)
    t = checks.numbers("explain(target)", target, "a label or a number for each class", names=True)
    t = dense_targets(t[None], x, *head.encoding)
    if smoothing:
        t = ((1 - smoothing) * t + smoothing * t.mean()).astype(x.dtype)
    errors, refused, value = _errors(head, t)
    J = head.normalizer.jacobian(x, soft)[0] if hasattr(head.normalizer, "jacobian") else None
    g = None
    if "jacobian" in errors or "factored" in errors:
        with np.errstate(all="ignore"):
            g = gradient(head.loss_name, head.normalizer, soft, t)[0]
    with np.errstate(all="ignore"):
        terms = J * g[:, None] if J is not None and g is not None else None
    found = Explanation(head, x[0], _steps(head, x), soft[0], t[0], J, g, terms, errors, refused, value)
    found.sentences = _sentences(found)
    return found


def _read_scores(given, dtype) -> np.ndarray:
    """The scores as an array (1, C)."""
    scores = checks.real_array("explain(scores)", given, np.float64, "numbers, one for each class")
    if scores.ndim != 1 or not 1 <= scores.size <= MOST:
        raise ValueError(f"explain: scores must be 1 to {MOST} numbers, one for each class, for every one of C² numbers is "
                         f"shown; got {scores.size if scores.ndim == 1 else f'shape {scores.shape}'}.")
    with np.errstate(over="ignore"):
        x = scores.astype(dtype)
    if (lost := np.isinf(x) & np.isfinite(scores)).any():
        raise ValueError(f"explain: the score {scores[lost][0]:g} is too large for {dtype}. Use float64, or smaller scores.")
    return x[None]


def _errors(head: Head, t: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, str], float | None]:
    """The error by each route that exists, the head's words for what does not, and the loss."""
    chosen, errors, refused = head.route, {}, {}
    for route in ROUTES:
        try:
            head.route = route
            errors[route] = head.backward(t)[0]
        except ValueError as fault:
            refused[route] = str(fault)
    head.route = chosen
    try:
        return errors, refused, float(head.loss(t))
    except (ValueError, FloatingPointError) as fault:  # infinite for these targets, or too large
        return errors, refused | {"loss": str(fault)}, None


def _steps(head: Head, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the normalizer computes between the scores x (1, C) and y, by name, each (C,)."""
    normalizer, steps = head.normalizer, {}
    if isinstance(normalizer, Softmax):
        z = normalizer.shifted(x)
        if z is not x:
            steps["k x"] = z[0]
        with np.errstate(all="ignore"):
            steps["less its max"] = z[0] - z.max()
            steps["e^ of that"] = np.exp(steps["less its max"])
    elif hasattr(normalizer, "margins"):
        above, below = normalizer.margins(x)
        steps["over threshold"] = (above - below)[0]
    return steps


def _sentences(found: Explanation) -> list[str]:
    """What the numbers say: what the route computes, whether the routes agree and why, and what does not exist."""
    head, errors = found.head, found.errors
    broken = [route for route, e in errors.items() if not np.isfinite(e).all()]
    said = [WAYS[head.route]]
    if found.loss is not None:
        said.append(f"The loss {head.loss_name!r} is {found.loss:.6g}; route 'isbe' never asks for it.")
    if "fused" in errors:
        said += _matching_loss(found, [route for route in errors if route not in broken])
    else:
        said.append(_another_loss(found, [route for route in errors if route not in (*broken, "isbe")]))
    if broken:
        said += _broken(found, broken)
    if found.jacobian is None:
        said.append(f"There is no J: {found.name!r} has no method jacobian.")
    if found.gradient is None:
        said.append("There is no g = dloss/dy, and so no product. The head's words:")
    alike = {"".join(reason.split("'")[::2]): reason for reason in reversed(found.refused.values())}
    return said + list(reversed(alike.values()))


def _matching_loss(found: Explanation, routes: list[str]) -> list[str]:
    """For the matching loss, whose gradient is y - t but for a dilation and for targets of another sum."""
    said, product, bound = [], "y - t", TOLERANCE[str(found.scores.dtype)]
    total = float(found.targets.astype(np.float64).sum())
    if isinstance(found.head.normalizer, Softmax) and abs(total - 1) > bound:
        product = "tau y - t"
        said.append(f"The targets sum to tau = {total:.6g}, not to 1: the gradient is tau y - t, and y - t is not.")
    if getattr(found.head.normalizer, "dilation", None) is not None:
        product = f"k ({product})"
        said.append("The scores are dilated: the gradient has the factor k, which y - t leaves out.")
    if "fused" not in routes:  # targets too large to add up
        return said
    who = [route for route in routes if route != "isbe" or product == "y - t"]
    gap = max(float(np.abs(found.errors[route] - found.errors["fused"]).max()) for route in who)
    # y and t are rounded themselves: their difference cannot be known more exactly than they are
    scale = max(float(np.abs(array).max()) for array in (found.soft, found.targets, found.errors["fused"]))
    rounding = f", to rounding: the largest difference is {gap:.1e}" if gap else ""
    said.append(f"{_listed(who)} send{'s' * (len(who) == 1)} {product}{rounding}." if gap <= bound * scale
                else f"{_listed(who)} differ by {gap:.1e}, which is more than rounding.")
    return said


def _another_loss(found: Explanation, routes: list[str]) -> str:
    """For any other loss: how the gradient's length compares with that of y - t."""
    said = f"The loss {found.head.loss_name!r} is not the matching one of {found.name!r}: its gradient is not y - t"
    length = np.linalg.norm(np.float64(found.errors["isbe"]))
    if not routes or not length:
        return f"{said}."
    return f"{said}, but a vector {np.linalg.norm(np.float64(found.errors[routes[0]])) / length:.3g} times as long."


def _broken(found: Explanation, routes: list[str]) -> list[str]:
    """Where g became infinite, what the routes that need it send then, and that the others stay exact."""
    y, g, e, dtype = found.soft, found.gradient, found.errors, found.scores.dtype
    said = [] if g is None else [f"y[{j}] is {y[j]:.2g} in {dtype}, and the division makes g[{j}] = {g[j]}."
                                 for j in np.flatnonzero(~np.isfinite(g))]
    sent: dict[str, list[str]] = {}
    for route in routes:
        sent.setdefault(_numbers(e[route]), []).append(route)
    for numbers, who in sent.items():
        s = "s" * (len(who) == 1)
        said.append(f"{_listed(who)}, which need{s} g, send{s} {numbers}." + " 0 times infinity is NaN." * ("NaN" in numbers))
    if whole := [route for route in e if route not in routes]:
        exact = Head(found.head.normalizer, "isbe", "sum", loss=found.head.loss_name)
        truth: np.ndarray = exact.error(found.scores[None].astype(np.float64), found.targets[None].astype(np.float64))[0]
        s = "s" * (len(whole) == 1)
        said.append(f"{_listed(whole)} divide{s} by no soft score: {_numbers(e[whole[0]])}, exact to rounding." + (
            f" In float64 y - t differs from that by {np.abs(truth - e['isbe']).max():.1e}." if dtype != np.float64 else ""))
    return said


def _listed(routes: list[str]) -> str:
    if len(routes) == 1:
        return f"Route {routes[0]!r}"
    return f"Routes {', '.join(map(repr, routes[:-1]))} and {routes[-1]!r}"


def _numbers(array: np.ndarray) -> str:
    return ", ".join(f"{value + 0.0:.4g}".replace("nan", "NaN") for value in array)
