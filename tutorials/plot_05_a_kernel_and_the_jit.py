"""
A kernel, and what the JIT made of it
=====================================

A kernel is a plain Python function of arrays: a loop to be read beside its formula. Numba compiles it to machine code. Is the
loop vectorised then, several numbers to an instruction? And what is that worth? We look at the machine code, and measure.
"""

from isbe_np import lessons

lessons.step()

import inspect
import re
import time

import matplotlib.pyplot as plt
import numpy as np

from isbe_np.compiler.jit import jit
from isbe_np.environment import describe
from isbe_np.reports.summary import settings_line, table
from isbe_np.studies.measure import take_turns

# %%
# The formula and the loop
# ------------------------
# Route ``factored`` computes ``y ⊙ (g − ⟨y, g⟩)``. Its sum, ``⟨y, g⟩ = Σ_j y_j g_j``, as a kernel:


def inner(y, g):
    total = 0.0
    for j in range(y.size):
        total += y[j] * g[j]
    return total


print(inspect.getsource(inner))

# %%
# Compiled twice
# --------------
# ``jit`` is how the package compiles all of its kernels. With ``exact=True`` every operation is rounded as it is written: each
# addition waits for the one before it. Otherwise sums may be reordered, so that several partial sums run side by side. The
# result may differ in its last digits. A kernel is compiled at its first call, which therefore takes long: the warm-up.

exact, fast = jit(exact=True)(inner), jit(inner)
random = np.random.default_rng(0)
y, g = random.random(20_000), random.normal(size=20_000)
for name, kernel in (("plain Python", inner), ("exact", exact), ("reordered", fast)):
    start = time.perf_counter()
    total = kernel(y, g)
    print(f"{name:12}  {total:.17g}   first call: {time.perf_counter() - start:.3f} s")

# %%
# Vectorised or not?
# ------------------
# The machine code tells. A packed addition works on all lanes of a register: ``vaddpd`` or ``vfmadd231pd`` on x86, ``fadd`` or
# ``fmla`` of ``v0.2d`` on ARM. A scalar one, ``vaddsd`` or ``fadd d0``, adds one number.

PACKED = r"\s(v?addp[sd]|vfn?madd\d+p[sd]|f(add|mla)\s+[vz]\d+\.|f(add|mla)\.[248][sdh])"
SCALAR = r"\s(v?adds[sd]|vfn?madd\d+s[sd]|f(add|madd)\s+[sd]\d+)"


def additions(kernel):
    """How many packed and scalar floating-point additions the machine code of `kernel` holds, and the first packed one."""
    code = "\n".join(kernel.inspect_asm().values())
    packed = re.search(rf".*{PACKED}.*", code)
    return len(re.findall(PACKED, code)), len(re.findall(SCALAR, code)), " ".join(packed[0].split()) if packed else "-"


print(table(("kernel", "packed", "scalar", "one packed"), [("exact", *additions(exact)), ("reordered", *additions(fast))]))

# %%
# Measured
# --------
# Honestly: warmed up, in turns, many rounds, the median, with the middle half of the rounds, and the settings said.

rivals = {"plain Python": lambda: inner(y, g), "exact": lambda: exact(y, g), "reordered": lambda: fast(y, g)}
seconds = take_turns(rivals, rounds=41)
spread = {name: np.percentile(times / y.size * 1e9, (25, 50, 75)) for name, times in seconds.items()}
slowest = spread["plain Python"][1]
rows = [(name, f"{mid:.3g}", f"{low:.3g} to {high:.3g}", f"{slowest / mid:,.0f}") for name, (low, mid, high) in spread.items()]
print(table(("kernel", "ns per number", "middle half", "times as fast"), rows))
print(f"\n{y.size:,} numbers, float64, 41 rounds. {settings_line(describe())}")

figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
for k, (low, mid, high) in enumerate(spread.values()):
    axes.errorbar(mid, k, xerr=[[mid - low], [high - mid]], fmt="sDo"[k], color=("#D55E00", "#0072B2", "#009E73")[k], capsize=4)
    axes.text(mid, k - 0.15, f"{mid:.3g} ns", ha="center", va="bottom")
axes.set(xscale="log", yticks=range(3), yticklabels=list(spread), xlabel="ns per number (median and middle half of the rounds)",
         xlim=(0.05, 10000), ylim=(2.5, -0.7), title=f"Σ y g over {y.size:,} numbers, float64, one thread")
axes.grid(axis="x", alpha=0.3)

# %%
# Exercises
# ---------
# 1. Which of the two sums is nearer the truth? ``math.fsum(y * g)`` adds up without rounding.
# 2. Write ``y − t`` as a kernel that fills a third array. Is it vectorised with ``exact=True`` too? Why?
# 3. Is the kernel faster in float32? Guess by how much first.

# %%
# Solutions
# ---------
# 1. As a rule the reordered one: each of its partial sums gathers fewer roundings.
# 2. Yes: no element waits for another, so that nothing need be reordered.
# 3. Less than twice as fast: a register holds twice as many numbers, but ``total`` is a float64, and each must be widened.
#
# .. code-block:: python
#
#    import math
#    print(exact(y, g) - math.fsum(y * g), fast(y, g) - math.fsum(y * g))
