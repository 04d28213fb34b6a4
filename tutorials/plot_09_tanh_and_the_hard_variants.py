"""
Tanh and the hard variants: an error that reaches flat zones
============================================================

The paper's third experiment takes tanh, hardsigmoid and hardtanh for the normalizer. The hard ones are flat outside an
interval: their slope is exactly 0 there. A loss of the soft scores, sent back by the chain rule, is multiplied by that slope
and dies. ISBE sends ``y − t``, which asks for no slope.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe

# %%
# One score, wrong by more and more
# ---------------------------------
# Let the target be the low value: 0 for hardsigmoid, −1 for tanh and hardtanh. The higher the score, the more wrong it is.
# Beside ISBE's error stands the chain rule for the squared error ``½ (y − t)²``, which is ``s'(x) (y − t)``.
NAMES = ("tanh", "hardsigmoid", "hardtanh")
x = np.linspace(-6, 6, 241)[:, None]
errors = {}
for name in NAMES:
    by_isbe = isbe.Head(name, route="isbe", reduction="sum")
    by_chain = isbe.Head(name, route="jacobian", reduction="sum", loss="squared")
    target = np.full_like(x, by_isbe.encoding[0])
    errors[name] = by_isbe.error(x, target), by_chain.error(x, target)
    for at in (0.5, 2.0, 5.0):
        one, other = (e[np.abs(x - at).argmin(), 0] for e in errors[name])
        print(f"{name:12} score {at}: isbe sends {one:.4f}, the chain rule {other:.4f}")

# %%
# At a score of 5 the hard variants' chain rule sends exactly 0: the unit is dead, however wrong. Tanh's is not 0, only small.
#
# Is there a loss whose chain rule gives ``y − t``?
# -------------------------------------------------
# For tanh there is: one whose gradient by ``y`` is ``(y − t) / (1 − y²)``, its matching loss; the slope ``1 − y²`` cancels.
# For the hard variants no loss of ``y`` can do it in a flat zone, as any number times 0 is 0. The matching loss exists all
# the same, as a function of the scores. So the package refuses the chain rule there, in a sentence, and takes route ``isbe``
# or ``fused``.
head = isbe.Head("tanh", route="jacobian", reduction="sum")
difference = np.abs(head.error(x, np.full_like(x, -1)) - errors["tanh"][0]).max()
print(f"tanh, its matching loss by the chain rule: at most {difference:.1e} from y − t")
try:
    isbe.Head("hardtanh", route="jacobian", loss="matching")
except ValueError as refusal:
    print(refusal)

# %%
# Does it matter in training?
# ---------------------------
# One network, one seed, both errors. Nine of ten targets are the low value, so that all scores are soon pushed low, where it is
# flat; an image's own class must come back from there. After training we count the training images whose own class is wrong and
# is sent exactly 0: they are unheard. The chain rule gets a second try with a tenth of the learning rate.
data = isbe.datasets.load("digits", train=2000, test=1000)
for name in NAMES:
    chain = isbe.Head(name, "factored", loss="squared")
    for what, head, rate in (("isbe", isbe.Head(name), 0.05), ("chain rule", chain, 0.05), ("chain rule", chain, 0.005)):
        net = isbe.networks.n0(seed=0)
        history = isbe.train(net, head, data, epochs=4, batch_size=100, optimizer=isbe.SGD(rate, momentum=0.9), progress=False)
        own = np.arange(len(data.y_train)), data.y_train
        error = head.error(net.forward(data.x_train), data.y_train)
        unheard = (error[own] == 0) & (head.soft[own] != head.encoding[1])
        print(f"{name:12} {what:10} rate {rate:<5}  test accuracy {history.accuracy[-1]:6.1%}, unheard {unheard.mean():6.1%}")

# %%
# The squared error is another loss with a best learning rate of its own, and neither rate need be it: these accuracies do not
# rank losses. The zeros are another matter: no learning rate makes an image heard whose error is 0. Tanh, never quite flat on
# paper, is flat in float32 as well, once it rounds to −1. Below, the shaded zones are flat.
figure = plt.figure(figsize=(10.5, 3.8), layout="constrained")
axes = figure.subplots(1, 3)
for ax, name in zip(axes, NAMES, strict=True):
    by_isbe, by_chain = errors[name]
    ax.plot(x[:, 0], by_isbe[:, 0], color="#009E73", lw=2.5, label="ISBE: y − t")
    ax.plot(x[:, 0], by_chain[:, 0], "--", color="#D55E00", lw=2, label="squared error: s'(x) (y − t)")
    if name != "tanh":
        edge = 3 if name == "hardsigmoid" else 1
        ax.axvspan(-6, -edge, color="0.9")
        ax.axvspan(edge, 6, color="0.9")
    ax.set(xlabel="score x", title=f"{name}, target {'0' if name == 'hardsigmoid' else '−1'}", xlim=(-6, 6))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("error sent back")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %%
# Exercises
# ---------
# 1. At which score is tanh's chain rule for the squared error largest, for the target −1? What happens beyond?
# 2. From which score on does tanh round to 1 in float32, and in float64? What does ISBE send there, for the target −1?
# 3. Encode the labels as ±0.9 instead of ±1 for hardtanh. Which scores does ISBE now send back that it left alone before?

# %%
# Solutions
# ---------
# 1. It is ``(1 − y²)(y + 1)``, largest at ``y = 1/3``, a score of about 0.35. Beyond, the more wrong, the smaller the error.
# 2. From about 9, and about 19: there ``1 − tanh x``, some ``2 e^−2x``, is less than half the last digit of 1. ISBE sends 2.
# 3. Scores beyond ±1 on the right side: ``y − t = ±0.1`` there, where before ``y = t`` and the error was 0. Such targets keep
#    scores out of the flat zones.
