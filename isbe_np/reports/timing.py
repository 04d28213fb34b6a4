"""The study of timing in words: tables, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from isbe_np.studies.steps import CONTROL, PARTS, RIVALS
from isbe_np.studies.time_saved import CLAIM, VERDICTS, Saving, chance_of, reached
from isbe_np.studies.timing import CLAIMED, JUDGED, TimingStudy
from isbe_np.tables import WIDEST, page, table

AMOUNT = f"{100 * CLAIM:g} %"
SHOWN = 5  # steps from short to long, of which one sentence tells


def timing_text(study: TimingStudy, width: int = WIDEST) -> str:
    """All of the study as text."""
    least, most = study.rounds
    said = [f"Training steps, float32, images {' x '.join(map(str, study.image))}, threads {study.threads}, seed {study.seed}; "
            f"all contestants in turns, {study.budget:g} s a cell in {least} to {most} rounds",
            "Share of the other's time that isbe saves, in %, with 95 % intervals. * where the interval is without 0 and the "
            f"share is beyond all that the control, {CONTROL}, shows for the network (a mean over batches: for any). "
            "Rounds: their number x turns in each."]
    if study.cells:
        others = tuple(rival for rival in RIVALS if rival != "one pass")
        said += ["1. Backward: head, then network\n\n" + _part(study, "backward", others, width),
                 "2. The whole step: forward, backward and update\n\n" + _part(study, "step", RIVALS, width),
                 "3. The head alone, both its halves; its share of a step by isbe; what it saves of one by fused\n\n"
                 + _head(study, width),
                 f"4. Up to {AMOUNT}: is it reached at some batch size? Control: the most it seems to save or lose. By the "
                 "head: the most that its own times leave possible, the upper end of their intervals\n\n"
                 + _claims(study, width),
                 "What this says\n\n" + "\n".join(f"- {sentence}" for sentence in conclusions(study))]
    return page([*said, *(f"{name} failed: {why}" for name, why in study.failed.items())], width)


def _part(study: TimingStudy, part: str, rivals: Sequence[str], width: int) -> str:
    rows = []
    for cell in study.cells:
        floor = study.floor(cell.network, part)
        found = {rival: study.savings[cell.network, part, rival][cell.batch] for rival in rivals}
        rows.append((cell.network, cell.batch, f"{len(cell.seconds[part]['isbe'])} x {cell.turns}",
                     f"{1e3 * cell.median(part, 'isbe'):,.3f}", *(_starred(s, s.verdict(floor)) for s in found.values()),
                     found["fused"].words(floor)))
    return table(("network", "batch", "rounds", "isbe, ms", *rivals, "isbe against fused"), rows, keys=2, width=width)


def _head(study: TimingStudy, width: int) -> str:
    rows = []
    for cell in study.cells:
        floor = study.floor(cell.network, "head")
        found = [study.savings[cell.network, "head", rival][cell.batch] for rival in RIVALS]
        share, part = cell.median("head", "isbe") / cell.median("step", "isbe"), study.by_head(cell, "fused", "step")
        rows.append((cell.network, cell.batch, f"{1e6 * cell.median('head', 'isbe'):,.1f}",
                     *(_starred(s, s.verdict(floor)) for s in found), _small(share),
                     f"{_small(part.value)} [{_small(part.low)}, {_small(part.high)}]"))
    return table(("network", "batch", "isbe, µs", *RIVALS, "of step, %", "saves of fused's step, %"), rows, keys=2, width=width)


def _claims(study: TimingStudy, width: int) -> str:
    rows = []
    for key in ((network, part, rival) for network in study.networks for rival in JUDGED for part in CLAIMED):
        network, part, rival = key
        floor = study.floor(network, part)
        by_head = max(study.by_head(cell, rival, part).high for cell in study.cells if cell.network == network)
        rows.append((network, rival, part, _starred(study.pooled(*key), study.pooled_verdict(*key)), _listed(study.seen(*key)),
                     _listed(reached(study.savings[key], floor)), f"{100 * floor:.1f}", _small(by_head), study.claim(*key)))
    return table(("network", "against", "of", "mean over batches, % ", "faster at batch", f"{AMOUNT} or more at",
                  "control, %", "by the head, %", f"{AMOUNT} somewhere"), rows, left=3, keys=3, width=width)


def conclusions(study: TimingStudy) -> list[str]:
    """What the numbers support, and what they do not."""
    return [*(_claim_words(study, part, rival) for rival in JUDGED for part in CLAIMED),
            *(_seen_words(study, part) for part in CLAIMED), *_size_words(study), _control_words(study), _chance_words(study),
            "Forward is the same code by all routes. To one pass the head is a single call, which counts as backward: of its "
            "parts only the head and the step can be compared. Fused computes the loss too, as frameworks do.",
            "A difference of whole steps holds all that a route does to what comes after it, such as threads that fall asleep "
            "while its head is busy. What the head's own times say does not, and is surer: the network's noise is not in it.",
            "Nobody trains with an explicit Jacobian: it is the mathematics written out, not a rival.",
            "One machine, few classes, our networks, and steps without the checks that `train` makes. How the "
            "authors measured, and against what, is not in what we have of the paper.",
            *(["Of cells that failed nothing is known: what is said of all batch sizes is of those that were timed."]
              if study.failed else [])]


def _claim_words(study: TimingStudy, part: str, rival: str) -> str:
    verdicts = {network: study.claim(network, part, rival) for network in study.networks}
    told = [f"{verdict} for {', '.join(networks)}" for verdict in VERDICTS
            if (networks := [network for network in verdicts if verdicts[network] == verdict])]
    return f"Against {rival}, that {AMOUNT} of {CLAIMED[part]} is saved at some batch size: {'; '.join(told)}."


def _seen_words(study: TimingStudy, part: str) -> str:
    told = []
    for verdict in ("faster", "slower"):
        at = {network: study.seen(network, part, "fused", verdict) for network in study.networks}
        where = "; ".join(f"{network} at batch {_listed(batches)}" for network, batches in at.items() if batches) or "nowhere"
        means = [network for network in at if study.pooled_verdict(network, part, "fused") == verdict]
        told.append(f"{verdict}: {where} (on the mean over batch sizes: {', '.join(means) or 'none'})")
    return f"In {CLAIMED[part]} isbe can be told from fused as {'; as '.join(told)}."


def _size_words(study: TimingStudy) -> list[str]:
    """From the cell with the shortest step to that with the longest, by the head's own times."""
    cells = sorted(study.cells, key=lambda cell: cell.median("step", "fused"))
    last, shown = len(cells) - 1, min(SHOWN, len(cells))
    some = [cells[round(k * last / max(1, shown - 1))] for k in range(shown)]
    told = ", ".join(f"{_small(study.by_head(cell, 'fused', 'step').value)} % of "
                     f"{1e3 * cell.median('step', 'fused'):,.3g} ms ({cell.network}, batch {cell.batch})" for cell in some)
    shares = [cell.median("head", "fused") / cell.median("step", "fused") for cell in cells]
    most = cells[shares.index(max(shares))]
    return [f"By the head's own times isbe saves, from fused's short steps to its long ones: {told}.",
            f"All of fused's head, both halves, is at most {_small(max(shares))} % of its step ({most.network}, batch "
            f"{most.batch}): a head that took no time would itself save no more."]


def _control_words(study: TimingStudy) -> str:
    told = []
    for part in PARTS:
        found = {(network, batch): s for network in study.networks
                 for batch, s in study.savings[network, part, CONTROL].items()}
        missed = sum(bool(s.verdict()) for s in found.values())
        network, batch = max(found, key=lambda key: abs(found[key].value))
        often = chance_of(missed, len(found)) < 0.05
        told.append(f"{part} {missed}{' (more than chance: its intervals are too narrow)' if often else ''}, at most "
                    f"{100 * abs(found[network, batch].value):.1f} % ({network}, batch {batch})")
    return (f"The control, isbe against itself, is to have an interval without 0 in 5 % of cells, "
            f"{0.05 * len(study.cells):.1f} of {len(study.cells)}. It has, and seems to save or lose: {'; '.join(told)}.")


def _chance_words(study: TimingStudy) -> str:
    keys = [(network, part, "fused") for network in study.networks for part in CLAIMED]
    alone = [s.verdict() for key in keys for s in study.savings[key].values()]
    beyond = {verdict: sum(len(study.seen(*key, verdict)) for key in keys) for verdict in ("faster", "slower")}
    found = " and ".join(f"{alone.count(verdict)} {side} ({count} of them beyond the control)"
                         for (verdict, count), side in zip(beyond.items(), ("above", "below"), strict=True))
    return (f"Many comparisons: of {len(alone)} intervals against fused chance alone would put {0.025 * len(alone):.1f} "
            f"above 0 and as many below. Found are {found}.")


def _starred(s: Saving, verdict: str) -> str:
    return s.text() + ("*" if verdict else " ")


def _small(share: float) -> str:
    """A share in per cent, in two digits however small it is."""
    return f"{100 * share:.2g}" if abs(share) < 0.1 else f"{100 * share:.1f}"


def _listed(batches: Sequence[int]) -> str:
    return ", ".join(map(str, batches)) or "none"
