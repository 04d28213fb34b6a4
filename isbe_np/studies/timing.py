"""What share of forward, backward and a whole training step does ISBE save, by network and batch size? The paper: up to 3 %.

A cell is one network with one batch size, in which all contestants take turns, step by step. One of them is a control: isbe by
another name, of which nothing can be saved. What it seems to save is what this machine cannot tell from nothing, and a
difference counts only where its interval is without 0 and it is larger than the control's, of all batches of that network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from isbe_np.checks import nearest, whole
from isbe_np.executors import Opener
from isbe_np.networks import IMAGE, NETWORKS
from isbe_np.studies.measure import paired_ratio
from isbe_np.studies.steps import CONTESTANTS, CONTROL, PARTS, RIVALS, Timed, timing_cell
from isbe_np.studies.sweep import sweep
from isbe_np.studies.time_saved import Saving, claim, mean, saving

NETS = tuple(NETWORKS)
BATCHES = (1, 4, 16, 64, 256, 1024)
JUDGED = ("fused", "jacobian")  # against whom the claim is judged
CLAIMED = {"backward": "the backward pass", "step": "the whole step"}  # and of what
ANSWER = {"turns": int, "seconds": {part: {name: [float] for name in CONTESTANTS} for part in PARTS}}  # of `timing_cell`


@dataclass
class TimingStudy:
    """All cells that were timed, the settings, and the sentences of cells that failed.

    rounds: least and most of a cell; budget: seconds for the rounds of a cell.
    """

    image: list[int]
    rounds: list[int]
    budget: float
    threads: int
    seed: int
    cells: list[Timed]
    failed: dict[str, str]

    @cached_property
    def savings(self) -> dict[tuple[str, str, str], dict[int, Saving]]:
        """By network, part and rival: what isbe saves against it, by batch size."""
        found: dict[tuple[str, str, str], dict[int, Saving]] = {}
        for cell in self.cells:
            for part, times in cell.seconds.items():
                ours = np.array(times["isbe"])
                for rival in RIVALS:
                    ratio = paired_ratio(np.array(times[rival]), ours)
                    found.setdefault((cell.network, part, rival), {})[cell.batch] = saving(ratio)
        return found

    @property
    def networks(self) -> list[str]:
        """Those that were timed."""
        return list(dict.fromkeys(cell.network for cell in self.cells))

    def floor(self, network: str, part: str) -> float:
        """The noise: the most that isbe seems to save, or to lose, against itself at any batch size."""
        return max(abs(s.value) for s in self.savings[network, part, CONTROL].values())

    def pooled(self, network: str, part: str, rival: str) -> Saving:
        """The mean over batch sizes."""
        return mean(self.savings[network, part, rival].values())

    def pooled_verdict(self, network: str, part: str, rival: str) -> str:
        """Of the mean over batch sizes, the noise being the most that the control's mean shows for any network."""
        floor = max(abs(self.pooled(other, part, CONTROL).value) for other in self.networks)
        return self.pooled(network, part, rival).verdict(floor)

    def claim(self, network: str, part: str, rival: str) -> str:
        """Whether 3 % is saved at some batch size: "confirmed", "refuted" or "cannot be told"; see `saving.claim`."""
        return claim(self.savings[network, part, rival], self.floor(network, part))

    def seen(self, network: str, part: str, rival: str, verdict: str = "faster") -> list[int]:
        """Batch sizes at which isbe is told to be "faster", or "slower"."""
        floor = self.floor(network, part)
        return [batch for batch, s in self.savings[network, part, rival].items() if s.verdict(floor) == verdict]

    def by_head(self, cell: Timed, rival: str, part: str) -> Saving:
        """What is saved of `part` if only the times of the head differ: surer by far, as the network's noise is not in it."""
        share = cell.median("head", rival) / cell.median(part, rival)
        return self.savings[cell.network, "head", rival][cell.batch].of_whole(share)

    def as_dict(self) -> dict:
        """All of it as JSON can hold it, with what follows from it."""
        told = [{"network": network, "part": part, "rival": rival, "batch": batch, **asdict(s),
                 "verdict": s.words(self.floor(network, part))}
                for (network, part, rival), batches in self.savings.items() for batch, s in batches.items()]
        claims = [{"network": network, "part": part, "rival": rival, "mean": asdict(self.pooled(network, part, rival)),
                   "verdict": self.claim(network, part, rival)}
                  for network in self.networks for part in CLAIMED for rival in JUDGED]
        return asdict(self) | {"savings": told, "claims": claims}

def timing(nets: Sequence[str] = NETS, batches: Sequence[int] = BATCHES, *, image: Sequence[int] = IMAGE,
           rounds: Sequence[int] = (12, 60), seconds: float = 15.0, seed: int = 0, folder: Path | None = None,
           executor: Executor | Opener | None = None, threads: int = 2, progress: bool = True) -> TimingStudy:
    """Time training steps of every network with every batch size by all `CONTESTANTS`; the defaults take about 15 minutes.

    rounds : least and most of a cell, of which `seconds` decide. Steps so long that the least takes longer take longer.
    executor : for more than one cell at a time it must have a machine for each.
    """
    for net in nets:
        nearest("timing: nets", net, tuple(NETWORKS))
    sizes = [whole("timing: batches", batch) for batch in batches]
    least = whole("timing: rounds", rounds[0], least=2)
    most = whole("timing: rounds", rounds[1], least=least)
    if not 0 < seconds < math.inf:
        raise ValueError(f"timing: seconds expects a number above 0; got {seconds!r}.")
    asked = {f"{net} batch {batch}": (net, batch) for net in nets for batch in sizes}
    settings = {"image": list(image), "rounds": [least, most], "seconds": seconds, "seed": seed}
    cells = {name: {"net": net, "batch": batch, **settings} for name, (net, batch) in asked.items()}
    found = sweep(timing_cell, cells, folder, executor, threads, same_machine=True, progress=progress, answer=ANSWER)
    timed = [Timed(*asked[name], **answer) for name, answer in found.answers.items()]
    failed = {name: found.failed[name] for name in cells if name in found.failed}  # they come in any order
    return TimingStudy(list(image), [least, most], seconds, threads, seed, timed, failed)
