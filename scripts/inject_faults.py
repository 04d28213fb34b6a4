"""Prove that the tests would notice: put one fault at a time into a copy of the package, and require that a test fails.

    python scripts/inject_faults.py [--only TEXT] [--workers 2] [--json FILE]

The package and its tests are copied to a temporary folder; your files are never touched. Kernels run as plain Python, so that
nothing is compiled. The copy without a fault must pass first. A fault whose old text is not found exactly once is an error, so
that the table below cannot rot. A fault is caught when tests ran and one of them failed: a fault that breaks the import, or
fails by a name that does not exist, proves nothing about tests. Exit codes: 0 all caught, 1 some survived, 2 no verdict.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from isbe_np.cli.options import file_path
from isbe_np.storage.files import write_json
from isbe_np.tables import table

ROOT = Path(__file__).resolve().parent.parent
# Whole networks in plain Python take seconds each and see no fault of a part that the part's own tests do not see.
TOO_SLOW = ("tests/test_graph.py::test_batch_sizes_alternate", "tests/test_graph.py::test_networks",
            "tests/test_graph.py::test_training_allocates_nothing_after_the_first_step",
            "tests/test_graph.py::test_values_and_gradients_by_name", "tests/test_graph.py::test_scores_are_the_callers_own",
            "tests/test_graph.py::test_the_batch_may_change_after_forward",
            "tests/test_graph.py::test_read_only_batches_are_taken_and_left_alone",
            "tests/test_graph.py::test_any_memory_order_is_taken")
SECONDS = 300  # a fault may loop for ever
HEADS = "tests/heads/test_routes.py tests/heads/test_head.py tests/heads/test_dilated_losses.py tests/heads/test_error.py"
GRAPH = "tests/test_gradient_check.py tests/test_reuse.py tests/test_graph.py"

# (file, tests to run) -> faults, each (what is wrong, old text, new text).
FAULTS = {
    ("kernels/activations.py", "tests/kernels/test_activations.py"): [
        ("tanh_backward: 1 - y² cancels where tanh saturates", "(x.dtype.type(1) - y[i]) * (x.dtype.type(1) + y[i]) * dy[i]",
         "(x.dtype.type(1) - y[i] * y[i]) * dy[i]"),
        ("relu turns NaN into 0", "y[i] = x.dtype.type(0) if x[i] < 0 else x[i]",
         "y[i] = x[i] if x[i] > 0 else x.dtype.type(0)"),
        ("relu's derivative at 0 is 1", "dx[i] = 0 if x[i] <= 0 else dy[i]", "dx[i] = 0 if x[i] < 0 else dy[i]"),
        ("leaky_relu's slope on the wrong side", "dx[i] = x.dtype.type(slope) * dy[i] if x[i] <= 0 else dy[i]",
         "dx[i] = dy[i] if x[i] <= 0 else x.dtype.type(slope) * dy[i]"),
        ("sigmoid overflows on the left", "np.exp(-abs(x[i]))", "np.exp(-x[i])"),
        ("sigmoid's left tail is its right one", "(e if x[i] < 0 else x.dtype.type(1)) /", "x.dtype.type(1) /"),
        ("sigmoid's left tail by subtraction loses its digits", "(e if x[i] < 0 else x.dtype.type(1)) / (x.dtype.type(1) + e)",
         "abs((x[i] < 0) - 1 / (1 + e))"),
        ("sigmoid's derivative without y", "y[i] * (x.dtype.type(1) - y[i]) * dy[i]", "(x.dtype.type(1) - y[i]) * dy[i]"),
        ("tanh's derivative is (1 - y)²", "* (x.dtype.type(1) + y[i])", "* (x.dtype.type(1) - y[i])"),
        ("hardsigmoid's slope is 1/3", "x[i] / x.dtype.type(6) +", "x[i] / x.dtype.type(3) +"),
        ("hardsigmoid's derivative without 1/6", "dy[i] / x.dtype.type(6)", "dy[i]"),
        ("hardtanh's derivative at ±1 is 1", "0 if abs(x[i]) >= 1", "0 if abs(x[i]) > 1"),
        ("gelu with the other tail of Φ", "x[i] * half * x.dtype.type(math.erfc(-x[i] * root))",
         "x[i] * half * x.dtype.type(math.erfc(x[i] * root))"),
        ("gelu's derivative without x φ", " + x[i] * phi) * dy[i]", ") * dy[i]"),
        ("numbers behind the first span are left as they were", "    for task in prange((x.size + SPAN - 1) // SPAN):\n"
         "        for i in range(task * SPAN, min(x.size, (task + 1) * SPAN)):\n            y[i] = np.tanh(x[i])",
         "    for i in range(min(x.size, SPAN)):\n        y[i] = np.tanh(x[i])"),
        ("gelu's φ ends at 4", "abs(x[i]) > 40", "abs(x[i]) > 4"),
    ],
    ("kernels/conv2d.py", "tests/kernels/test_conv2d.py"): [
        ("the bias is forgotten", "y[n] = b\n", "y[n] = 0\n"),
        ("every weight acts on the first channel", "weight, x_hv = w[c, k, l], x[c, h, v]",
         "weight, x_hv = w[c, k, l], x[0, h, v]"),
        ("a weight's last product stays alone", "y[n] += weight * x_hv[n]", "y[n] = weight * x_hv[n]"),
        ("the stride is the same down and across", "pixel(x, w[o], b[o], y[o, i, j], i * stride[0]",
         "pixel(x, w[o], b[o], y[o, i, j], i * stride[1]"),
        ("the error is handed back by the kernel turned around", "weight, dx_hv = w[k, l], dx[h, v]",
         "weight, dx_hv = w[KH - 1 - k, l], dx[h, v]"),
        ("the input's gradient is added to the last one", "dx[c] = 0", "pass"),
        ("of overlapping windows the last one's error stays", "dx_hv[n] += weight * dy[n]", "dx_hv[n] = weight * dy[n]"),
        ("the weights' gradients are added to the last ones", "dw[o], db[o] = 0, 0", "db[o] = 0"),
        ("a weight sees the last place alone", "dw[c, k, l] += total", "dw[c, k, l] = total"),
        ("the bias sees the last example alone", "db[o] += dy[o, i, j, n]", "db[o] = dy[o, i, j, n]"),
        ("a weight's sum goes on from place to place", "total += dy[n] * x_hv[n]", "total += dy[0] * x_hv[n]"),
    ],
    ("kernels/dense.py", "tests/kernels/test_dense.py"): [
        ("the bias is forgotten", "total = b[o]", "total = b[o] * 0"),
        ("the first input is left out", "            for k in range(K):\n                total",
         "            for k in range(1, K):\n                total"),
        ("the input's gradient is added to the last one", "dx[n, k] = 0", "pass"),
        ("an input sees the last output alone", "dx[n, k] += dy[n, o] * w[o, k]", "dx[n, k] = dy[n, o] * w[o, k]"),
        ("the weights' gradient is added to the last one", "dw[o, k] = 0", "pass"),
        ("a weight sees the first example's error", "dw[o, k] += dy[n, o] * x[n, k]", "dw[o, k] += dy[0, o] * x[n, k]"),
        ("the bias's gradient is added to the last one", "db[o] = 0", "pass"),
    ],
    ("engine/conv2d.py", "tests/engine/test_conv2d.py"): [
        ("taps: height and width exchanged", "((c * H + k) * W + l) * N", "((c * W + k) * H + l) * N"),
        ("pixels of a strided row taken side by side", "run(x, place + j * step, taps", "run(x, place + j * size, taps"),
        ("strided pixels stored side by side", "y, at + j * pixel, channel", "y, at + j * size, channel"),
        ("only the first piece of a large batch is computed", "rows = OH * number_of_pieces(N)", "rows = OH"),
        ("row stride ignored", "steps[0] + i * steps[1] + j", "steps[0] + i * steps[1] // 2 + j"),
        ("output rows of the second piece stored on the first", "to[0] + i * to[1] + j * to[2] + piece * to[3]",
         "to[0] + i * to[1] + j * to[2]"),
        ("every part of a row is its first", "row // OH, cut * OW // cuts, (cut + 1) * OW // cuts",
         "row // OH, 0, OW // cuts"),
        ("weights gathered in the order they have", "        y[i] = values[index[i]]", "        y[i] = values[i]"),
        ("missing clear of the weight gradient", "fill(dw[m, first:end], dw.dtype.type(0))", "pass"),
        ("bias gradient added to the last one", "db[m] = 0", "pass"),
        ("pixels far apart read as if they were side by side", "cut * (size if whole else count * right[1])",
         "cut * (size if whole else count * P)"),
        ("bias gradient without its last line", "for line in range(count):", "for line in range(max(1, count - 1)):"),
        ("weight gradient of the last rows lost", "some = min(rows, OH - i) if whole",
         "some = min(rows, max(1, OH - i - 1)) if whole"),
        ("second cut of a long row goes over the first", "q = piece * across[1] + i * down[1] + cut * (size if whole",
         "q = piece * across[1] + i * down[1] + cut * (0 if whole"),
        ("a channel that stands twice counted twice", "if o2 > o1:\n", "if True:\n"),
        ("the first rows of an image are forgotten", "= c[i, j0] + s0,", "= s0,"),
        ("the weight gradient of later pieces goes over that of the first", "if span[0] == 0:\n", "if True:\n"),
        ("last tap of a part lost", "o_end, end = min(O, o_first + band), min(T, first + PART)",
         "o_end, end = min(O, o_first + band), min(T, first + PART) - (T > 1)"),
    ],
    ("engine/microkernels.py", "tests/engine/test_dense.py tests/engine/test_conv2d.py"): [
        ("block6: a row with the weights of another", "s4 += at(w, p + 4 * down", "s4 += at(w, p + 3 * down"),
        ("block6: a bias of another row", "load(start, q + 4 * hop, like)", "load(start, q + 3 * hop, like)"),
        ("block6: a row stored in another's place", "store(y, to + 5 * stride", "store(y, to + 4 * stride"),
        ("block4: rows beyond the last", "r1, r2, r3 = min(1, last), min(2, last), min(3, last)",
         "r1, r2, r3 = min(1, last), min(2, last), min(2, last)"),
        ("block4: a bias of another row", "s2, s3 = load(start, q + r2 * hop, like), load(start, q + r3 * hop, like)",
         "s2, s3 = load(start, q + r2 * hop, like), load(start, q + r2 * hop, like)"),
        ("block8: rows beyond the last", "min(6, last), min(7, last)", "min(6, last), min(6, last)"),
        ("block8: limits forgotten", "store(y, to + r7 * stride, clipped(s7, low, high), like)",
         "store(y, to + r7 * stride, s7, like)"),
        ("the bias of later columns is that of the first", "rest, here = part(x, min(short, size - n)), (corner + n * across,",
         "rest, here = part(x, min(short, size - n)), (corner,"),
        ("what wide vectors leave over is lost", "while n < size:", "while n + short <= size:"),
        ("dots: one product with the wrong run", "s13 + v * z3", "s13 + v * z2"),
        ("dots: the rest of a line lost", "        if rest:\n", "        if False:\n"),
        ("dots: a second line goes over the first", "d, e = line * strides[0], line * strides[1]", "d, e = 0, 0"),
    ],
    ("engine/dense.py", "tests/engine/test_dense.py"): [
        ("small batch, more than 1024 inputs: the second of two left-over rows is added twice", "if n2 > n1:",
         "if n2 > n:"),
        ("limits are not applied where K is a multiple of 1024", "k == 0, k + DEPTH >= K",
         "k == 0, k + DEPTH > K"),
        ("a bias of another output", "= b[o0], b[o1],", "= b[o0], b[o0],"),
        ("later inputs go over the first", "begin, finish = k == 0,", "begin, finish = True,"),
        ("last row of a block lost", "end = min(N, first + ROWS)", "end = min(N, first + ROWS - 1)"),
        ("upper limit ignored", "limits[1] if v > limits[1] else v", "v"),
        ("last band of rows lost", "(R + height - 1) // height", "max(1, R // height)"),
        ("last columns lost", "(K + width - 1) // width", "max(1, K // width)"),
        ("a narrow strip's pieces go over each other", "store(strip, t * lanes(full) + c,", "store(strip, t * lanes(full),"),
        ("what squares leave over of a strip is lost", "range(c_end if t < t_end else 0, size)", "range(c_end, size)"),
        ("every column has the bias of its strip's first", "corner = (origin[0] + k * origin[2],", "corner = (origin[0],"),
        ("dots over the first inputs alone", "for k in range(0, K, DEPTH):", "for k in range(0, 1, DEPTH):"),
        ("weights read by their columns", "(w.shape[0], 1), w.reshape(-1)", "(1, w.shape[0]), w.reshape(-1)"),
        ("bias gradient added to the last one", "fill(db, db.dtype.type(0))", "pass"),
        ("bias gradient of the last example alone", "db[o] += dy[n, o]", "db[o] = dy[n, o]"),
    ],
    ("engine/conv2d_max_pool.py", "tests/test_fusion.py"): [
        ("second row of a window is the first", "(i * KH + k) * steps[1]", "(i * KH) * steps[1]"),
        ("later pixels of a row are the first", "j * KW * steps[2] + piece", "piece"),
        ("the limits are not applied backward", "between(load(y, at, like), limits[0], limits[1])",
         "between(load(y, at, like), -limits[1], limits[1])"),
        ("every pixel of a window gets the error", "choose(mine, passed, zero)", "passed"),
        ("windows' places count rows by their height", "filled(winner.dtype.type(k * size[1] + l)",
         "filled(winner.dtype.type(k * size[0] + l)"),
        ("the smallest wins", "wins = greater(v, best)", "wins = greater(best, v)"),
        ("the first pixel always wins", "best = choose(wins, v, best)", "best = choose(wins, best, best)"),
        ("the rest of a batch is not pooled", "    if n < N:\n        maximum_of", "    if False:\n        maximum_of"),
        ("what a register leaves over is lost", "                if n < some:\n", "                if False:\n"),
        ("the errors of all pieces go to the first", "* pixel + piece * across, 0", "* pixel, 0"),
    ],
    ("kernels/normalization.py", "tests/kernels/test_normalization.py"): [
        ("variance as mean of squares less square of mean: cancels far from 0",
         "squares += (x[n, m] - center) ** 2\n        mean[n], variance[n] = center, squares / M",
         "squares += np.float64(x[n, m]) ** 2\n        mean[n], variance[n] = center, squares / M - center * center"),
        ("variance divided by M - 1", "center, squares / M", "center, squares / (M - 1)"),
        ("squares of x, not of its distances", "(x[n, m] - center) ** 2", "x[n, m] ** 2"),
        ("every row has the mean of the first", "total += x[n, m]", "total += x[0, m]"),
        ("a mean added up in float32", "total += x[n, m]", "total = np.float64(np.float32(total + x[n, m]))"),
        ("ε beside the root", "np.sqrt(variance[n] + eps)", "(np.sqrt(variance[n]) + eps)"),
        ("a channel's shift is scaled", "* r[c] + b[c]", "* (r[c] + b[c])"),
        ("batch norm's dx without the mean of g", "w[c] * dy[c, m] - errors / M -", "w[c] * dy[c, m] -"),
        ("batch norm's dx without x̂ times its mean with g", " - x_hat * products / M)", ")"),
        ("batch norm's dx of x̂, not of x", "dx[c, m] = r[c] * (", "dx[c, m] = ("),
        ("batch norm's mean of dy, not of g", "errors += w[c] * dy[c, m]", "errors += dy[c, m]"),
        ("dγ of a channel without r", "products += dy[c, m] * (x[c, m] - mean[c]) * r[c]",
         "products += dy[c, m] * (x[c, m] - mean[c])"),
        ("dβ of a channel in float32", "            errors += dy[c, m]\n        dw",
         "            errors = np.float64(np.float32(errors + dy[c, m]))\n        dw"),
        ("the running variance is too small", "variance[c] * M / (M - 1)", "variance[c]"),
        ("the running mean moves by 1 - momentum", "momentum * (mean[c]", "(1 - momentum) * (mean[c]"),
        ("layer norm by γ of the row", "y[n, k] = w[k] *", "y[n, k] = w[n % K] *"),
        ("layer norm's dx forgets that γ differs", "errors += w[k] * dy[n, k]", "errors += dy[n, k]"),
        ("layer norm's dx without x̂ times its mean with g", " - x_hat * products / K)", ")"),
        ("layer norm's means over the rows", "errors / K", "errors / N"),
        ("dγ of a feature without the mean", "products += dy[n, k] * (x[n, k] - mean[n]) * r[n]",
         "products += dy[n, k] * x[n, k] * r[n]"),
        ("dβ of a feature of all rows but the last", "for n in range(N):", "for n in range(N - 1):"),
    ],
    ("kernels/attention.py", "tests/kernels/test_attention.py"): [
        ("scores without 1/√d", "a[i, j] = score / root", "a[i, j] = score"),
        ("a token does not see itself", "seen = i + 1 if causal", "seen = max(i, 1) if causal"),
        ("scores are not shifted by their largest", "np.exp(a[i, j] - largest)", "np.exp(a[i, j])"),
        ("the largest score is one that is not seen", "a[i, :seen].max()", "a[i].max()"),
        ("later tokens keep their scores", "if j < seen else 0", "if j < seen else a[i, j]"),
        ("weights are not divided by their sum", "a[i, j] /= total", "a[i, j] /= 1"),
        ("the softmax's Jacobian is its diagonal", "if l == j else -a[i, l] * a[i, j]", "if l == j else 0"),
        ("the softmax's Jacobian is a(1 - a) everywhere", "a[i, l] - a[i, l] * a[i, j] if l == j else -a[i, l] * a[i, j]",
         "a[i, l] - a[i, l] * a[i, j]"),
        ("ds of the error at j alone", "total += J * da[i, l]", "total += J * da[i, j]"),
        ("dq of its own key", "dq[i, f] += ds[i, j] * k[j, f]", "dq[i, f] += ds[i, j] * k[i, f]"),
        ("dk without 1/√d", "ds[i, j] * q[i, f] / root", "ds[i, j] * q[i, f]"),
        ("missing clear of dq and dk", "    dq[:], dk[:] = 0, 0\n", "    pass\n"),
        ("o of the transposed weights", "o[i, f] += a[i, j] * v[j, f]", "o[i, f] += a[j, i] * v[j, f]"),
        ("missing clear of dv", "    dv[:] = 0\n", "    pass\n"),
        ("dv of the error at its own place", "dv[j, f] += a[i, j] * do[i, f]", "dv[j, f] += a[i, j] * do[j, f]"),
        ("da is k's", "total += do[i, f] * v[j, f]", "total += do[j, f] * v[i, f]"),
        ("v is k in backward", "softmax_backward(a[n, h], da, ds)\n        scores_backward(ds, q, k,",
         "softmax_backward(a[n, h], da, ds)\n        scores_backward(ds, q, v,"),
    ],
    ("kernels/embedding.py", "tests/kernels/test_embedding.py"): [
        ("the gradient's sums are in the table's dtype, not float64", "total = np.zeros(dw.shape)",
         "total = np.zeros(dw.shape, dw.dtype)"),
        ("V is a token", "not 0 <= x[m] < V", "not 0 <= x[m] <= V"),
        ("fractions are tokens", " or x[m] != int(x[m])", ""),
        ("tokens after a wrong one are written", "            return m\n",
         "            tokens[m + 1:] = 0\n            return m\n"),
        ("rows by place, not by token", "y[m, k] = w[tokens[m], k]", "y[m, k] = w[m % len(w), k]"),
        ("dW added to the last one", "    dw[:] = total\n", "    dw[:] += total\n"),
        ("a frequent token's last error alone", "total[tokens[m], k] += dy[m, k]", "total[tokens[m], k] = dy[m, k]"),
    ],
    ("kernels/dropout.py", "tests/test_graph.py -k dropout"): [
        ("what is kept is not scaled up", "y[i] = x[i] * scale if", "y[i] = x[i] if"),
        ("the error of what was dropped passes", "dx[i] = dy[i] * scale if u[i] >= rate else zero", "dx[i] = dy[i] * scale"),
        ("the kept share is dropped", "y[i] = x[i] * scale if u[i] >= rate", "y[i] = x[i] * scale if u[i] < rate"),
    ],
    ("kernels/finite.py", "tests/engine/test_layout_and_finite.py"): [
        ("only the first number is looked at", "x.dtype.type(0) * x[i]", "x.dtype.type(0) * x[0]"),
        ("squares added up in float32 overflow", "np.float64(x[i]) * np.float64(x[i])", "x[i] * x[i]"),
    ],
    ("engine/layout.py", "tests/engine/test_layout_and_finite.py"): [
        ("lay: the check for finite numbers forgets all but the last number of a row",
         "total += a.dtype.type(0) * a[r, first + n]",
         "total = a.dtype.type(0) * a[r, first + n]"),
        ("rows that fill no square are lost", "for i in range(i_end, R):", "for i in range(i_end, R - R % step):"),
        ("squares are put in each other's place", "y, j * P + i, P)", "y, i * P + j, P)"),
        ("rows laid side by side", "places[r] + k * piece", "r * S + k * piece"),
        ("a NaN is laid without a word", "bad += total != a.dtype.type(0)", "bad += False"),
        ("the corner (row, column) exchanged", "np.arange(H)[:, None] + corner[0]", "np.arange(H)[:, None] + corner[1]"),
    ],
    ("kernels/pooling.py", "tests/kernels/test_pooling.py"): [
        ("window one pixel short", "min(image[0], top + size[0])", "min(image[0], top + size[0] - 1)"),
        ("the column's window moves by the row's stride", "place[1] * stride[1]", "place[1] * stride[0]"),
        ("the smallest wins", "x_hv[n] > y[n] or", "x_hv[n] < y[n] or"),
        ("a tie goes to the last", "x_hv[n] > y[n] or", "x_hv[n] >= y[n] or"),
        ("NaN loses", " or (x_hv[n] != x_hv[n] and y[n] == y[n])", ""),
        ("the last NaN wins", "(x_hv[n] != x_hv[n] and y[n] == y[n])", "x_hv[n] != x_hv[n]"),
        ("the place counts rows by their height", "(x_hv[n], h * W + v)", "(x_hv[n], h * H + v)"),
        ("the first place is the image's corner", "x[top, left, n], top * W + left", "x[top, left, n], 0"),
        ("max: missing clear of the input gradient", "pixels[c] = 0", "pass"),
        ("max: of overlapping windows the last one's error stays", "argmax[c, i, j, n], n] += dy",
         "argmax[c, i, j, n], n] = dy"),
        ("mean over the padding too", " y.dtype.type(1 / ((bottom - top) * (right - left)))",
         " y.dtype.type(1 / (size[0] * size[1]))"),
        ("mean's error shared with the padding", "dx.dtype.type(1 / ((bottom - top) * (right - left)))",
         "dx.dtype.type(1 / (size[0] * size[1]))"),
        ("sum in place of the mean", "mean[n] += share * x_hv[n]", "mean[n] += x_hv[n]"),
        ("mean: missing clear of the output", "mean[:] = 0", "pass"),
        ("mean: missing clear of the input gradient", "        dx[c] = 0\n", ""),
        ("mean: of overlapping windows the last one's error stays", "dx_hv[n] += share * dy_ij[n]",
         "dx_hv[n] = share * dy_ij[n]"),
        ("global: mean of a row", "y[c, n] *= x.dtype.type(1 / (H * W))", "y[c, n] *= x.dtype.type(1 / W)"),
        ("global: rows added to each other", "            row[:] = 0\n", "            row[:] = 0 if h == 0 else row\n"),
        ("global: pixels added up one by one", "row[n] += x[c, h, v, n]", "y[c, n] += x[c, h, v, n]"),
        ("global: missing clear of the output", "y[c], row = 0, np.empty", "row = np.empty"),
        ("global: the error is not shared out", "dy[c, n] * dx.dtype.type(1 / (H * W))", "dy[c, n]"),
    ],
    ("engine/vectors_plain.py", "tests/test_fusion.py"): [
        ("a tie goes to the last", "(v > u) |", "(v >= u) |"),
        ("NaN loses", " | (np.isnan(v) & ~np.isnan(u))", ""),
    ],
    ("kernels/softmax.py", "tests/kernels/test_softmax.py tests/kernels/test_sums.py"): [
        ("plain: no shift by the largest score", "y[n, j] = np.exp(x[n, j] - m)", "y[n, j] = np.exp(x[n, j])"),
        ("plain: the last score is the shift", "m = max(m, x[n, j])", "m = x[n, j]"),
        ("plain: divided by the number of classes", "y[n, j] /= total", "y[n, j] /= x.shape[1]"),
        ("plain: added up in float32", "m, total = x[n, 0], np.float64(0)", "m, total = x[n, 0], x.dtype.type(0)"),
        ("Jacobian's sign off the diagonal", "J[n, i, j] = -y[n, i] * y[n, j]", "J[n, i, j] = y[n, i] * y[n, j]"),
        ("diagonal-only Jacobian p (1 - p)", "J[n, i, j] = -y[n, i] * y[n, j]",
         "J[n, i, j] = -y[n, i] * y[n, j] if i == j else y.dtype.type(0)"),
        ("Jacobian without diag(y)", "J[n, i, i] += y[n, i]", "J[n, i, i] += 0"),
        ("a large shift swallows the logarithm", "z[n, j] = (x[n, j] - m) - np.log(total)",
         "z[n, j] = x[n, j] - (m + np.log(total))"),
        ("cross-entropy's sign", "loss[n] -= t[n, j] * z[n, j]", "loss[n] += t[n, j] * z[n, j]"),
        ("0 · log 0 is NaN", "loss[n] -= t[n, j] * z[n, j] if t[n, j] != 0 else 0", "loss[n] -= t[n, j] * z[n, j]"),
        ("the gradient of cross-entropy is t / y", "g[n, j] = -t[n, j] / y[n, j]", "g[n, j] = t[n, j] / y[n, j]"),
        ("0 / 0 is NaN in the gradient", "y[n, j] if t[n, j] != 0 else 0\n\n\n@jit(parallel=True, exact=True)\ndef jacobian",
         "y[n, j]\n\n\n@jit(parallel=True, exact=True)\ndef jacobian"),
        ("J g in place of Jᵀ g", "J[n, i, j] * g[n, i]", "J[n, j, i] * g[n, i]"),
        ("missing clear of the product", "e[n, :] = 0", "pass"),
        ("product by the diagonal alone, p (1 - p)", "y[n, j] * (g[n, j] - y.dtype.type(total))",
         "y[n, j] * (1 - y[n, j]) * g[n, j]"),
        ("log Σ without its sign", "x[n].max(), -np.log(y[n].max())", "x[n].max(), np.log(y[n].max())"),
        ("plain: fused error without τ", "e[n, j] = tau * np.exp(", "e[n, j] = np.exp("),
        ("plain: fused loss counts a target twice", "loss[n] -= t[n, j] * log_y", "loss[n] -= 2 * t[n, j] * log_y"),
        ("sign of the error", "e[n, j] = y[n, j] - t[n, j]", "e[n, j] = t[n, j] - y[n, j]"),
    ],
    ("kernels/finite.py", "tests/kernels/test_softmax.py"): [
        ("first_nan_row leaves out the last row", "for n in range(x.shape[0]):",
         "for n in range(x.shape[0] - 1):"),
        ("the first row is always taken", "            return n\n    return -1", "            return 0\n    return -1"),
    ],
    ("engine/softmax.py", f"tests/engine/test_softmax.py {HEADS}"): [
        ("no shift by the largest score", "y[n, j] = exp(x[n, j] - m)", "y[n, j] = exp(x[n, j])"),
        ("divided by the number of classes, not the sum", "scale / total", "scale / y.shape[1]"),
        ("one pass forgets the scale of the sum", "scale / total", "1 / total"),
        ("rows after the last whole block are lost", "(x.shape[0] + rows - 1) // rows", "max(1, x.shape[0] // rows)"),
        ("log Σ without its sign", "largest(x, n), -np.log(largest(y, n))", "largest(x, n), np.log(largest(y, n))"),
        ("fused error without τ", "factor * exp((x[n, j] - m) - log_sum) - t", "exp((x[n, j] - m) - log_sum) - t"),
        ("fused loss without τ", "tau * log_sum - total", "log_sum - total"),
        ("fused loss: −∞ · 0 is NaN", " if t[n, j] != 0 else x.dtype.type(0)", ""),
        ("one pass: targets are not scaled", "t[n, j] * e.dtype.type(scale)", "t[n, j]"),
        ("one pass: the label's target is not scaled", "e.dtype.type((high - low) * scale)", "e.dtype.type(high - low)"),
        ("one pass: the other classes' target is 0", "e[n, j] * factor - other", "e[n, j] * factor"),
        ("one pass: the label is class 0", "e[n, labels[n]] -= more", "e[n, 0] -= more"),
        ("labels as if they were 0 and 1 in another order", "kernel(x, t, *encoding, scale, e)",
         "kernel(x, t, *encoding[::-1], scale, e)"),
        ("the scale is lost", "kernel(x, t, scale, e)", "kernel(x, t, 1.0, e)"),
    ],
    ("engine/exponential.py", "tests/engine/test_exponential.py"): [
        ("one term of the float32 series wrong", "(5040, 720, 120, 24, 6, 2, 1)", "(5040, 720, 120, 24, 6, 3, 1)"),
        ("float32: first term lost", "p = A7 * r + A6", "p = A6"),
        ("float64: first term lost", "p = B13 * r + B12", "p = B12"),
        ("log 2 without its second part", " + k * np.float32(2.1219444005469057e-4)", ""),
        ("log 2 without its second part, float64", " - k * np.float64(1.42860682030941723212e-6)", ""),
        ("k cut off, not rounded", "shifted = np.float32(x *", "shifted = np.float32(np.float32(0.5) + x *"),
        ("no floor", "x = np.float32(-105) if x < np.float32(-105) else x", "pass"),
        ("NaN is taken for the floor", "x = np.float32(-105) if x < np.float32(-105) else x",
         "x = x if x > np.float32(-105) else np.float32(-105)"),
        ("subnormal results are cut off", "x = np.float32(-105) if x < np.float32(-105) else x",
         "x = np.float32(-105) if x < np.float32(-87.3) else x"),
        ("2^k in one piece", "half = np.int32(k >> np.int32(1))", "half = k"),
        ("negative numbers in the wrong order", "return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))",
         "return bits"),
        ("only the first score is looked at", "m = max(m, order(x[n, j]))", "m = max(m, order(x[n, 0]))"),
    ],
    ("kernels/optimizers.py", "tests/kernels/test_optimizers.py"): [
        ("uphill", "w[i] -= eta * (g[i] + decay * w[i])", "w[i] += eta * (g[i] + decay * w[i])"),
        ("decay not scaled by the learning rate", "w[i] -= eta * (g[i] + decay * w[i])", "w[i] -= eta * g[i] + decay * w[i]"),
        ("momentum order: the step is taken with the old v",
         "v[i] = mu * v[i] + (g[i] + decay * w[i])\n        w[i] -= eta * v[i]",
         "w[i] -= eta * v[i]\n        v[i] = mu * v[i] + (g[i] + decay * w[i])"),
        ("momentum damped by 1 - μ", "mu * v[i] + (g[i] + decay", "mu * v[i] + (1 - mu) * (g[i] + decay"),
        ("nesterov is plain momentum", "eta * (d + mu * v[i])", "eta * v[i]"),
        ("nesterov without decay", "eta * (d + mu * v[i])", "eta * (g[i] + mu * v[i])"),
        ("adam: no bias correction of m", "(m[i] / c1)", "m[i]"),
        ("adam: no bias correction of v", "v[i] / c2", "v[i]"),
        ("adam: ε under the root", "(np.sqrt(v[i] / c2) + epsilon)", "np.sqrt(v[i] / c2 + epsilon)"),
        ("adam: v of d, not d²", "rest2 * d * d", "rest2 * d"),
        ("adamw: decay not scaled by the learning rate", "(one - eta * decoupled)", "(one - decoupled)"),
    ],
    ("training/optimizers.py", "tests/kernels/test_optimizers.py tests/training/test_optimizer_memory.py"): [
        ("Adam and AdamW exchanged", "if self.decoupled else", "if not self.decoupled else"),
        ("bias corrections exchanged", "1 - b1 ** self.steps, 1 - b2 ** self.steps",
         "1 - b2 ** self.steps, 1 - b1 ** self.steps"),
        ("bias correction one step late", "1 - b1 ** self.steps,", "1 - b1 ** (self.steps + 1),"),
        ("steps are not counted", "self.steps += 1", "self.steps = 1"),
        ("m and v are one array", "[np.zeros_like(net.values) for _ in range(self.slots)]",
         "[np.zeros_like(net.values)] * self.slots"),
        ("the first step's memory is the gradient's own array", "[np.zeros_like(net.values) for _ in range(self.slots)]",
         "[net.grads for _ in range(self.slots)]"),
        ("nesterov when not asked for", "elif self.nesterov:", "elif not self.nesterov:"),
        ("another network is taken", "elif self._values is not net.values:", "elif False:"),
        ("decay dropped", "number(self.momentum), number(self.weight_decay)", "number(self.momentum), number(0)"),
        ("learning rate in force is that of the first step", "        self.update(net.values",
         "        self.learning_rate = self.__dict__.setdefault('first', self.learning_rate)\n        self.update(net.values"),
    ],
    ("heads/routes.py", HEADS): [
        ("dilation's factor missing in fused", "head.normalizer.dilate(e)", "pass"),
        ("sign of the error", "kernels.isbe_error(y, t, e)", "kernels.isbe_error(t, y, e)"),
        ("J g in place of Jᵀ g", "kernels.jacobian_error(J, g, e)",
         "kernels.jacobian_error(np.ascontiguousarray(J.transpose(0, 2, 1)), g, e)"),
        ("route factored sends y - t", "read_product(head.normalizer.product(head.scores, y, g), y)", "y - t"),
        ("fused of the scores as they came", "head.normalizer.shifted(head.scores), np.empty", "head.scores, np.empty"),
    ],
    ("heads/losses.py", HEADS): [
        ("cross-entropy's gradient has the wrong sign", "        return g\n    if", "        return -g\n    if"),
        ("binary cross-entropy forgets the classes that are not", "return ratio(1 - targets, 1 - soft) - ratio(targets, soft)",
         "return -ratio(targets, soft)"),
        ("squared error's gradient counted twice", "return soft - targets", "return 2 * (soft - targets)"),
        ("squared error without 1/2", "((head.soft - t) ** 2 / 2)", "((head.soft - t) ** 2)"),
        ("an infinite gradient is hidden", "where=a != 0", "where=b != 0"),
        ("matching loss with soft scores for scores", "(t * scores).sum(axis=1)", "(t * head.soft).sum(axis=1)"),
        ("−∞ · 0 is NaN", "return np.where(a != 0, a * logarithm, 0)", "return a * logarithm"),
    ],
    ("heads/normalizers.py", HEADS): [
        ("divided by k, not multiplied", "derivative *= self.dilation", "derivative /= self.dilation"),
        ("relocation's sign", "else x + b", "else x - b"),
        ("potential without 1/k", " / (1 if self.dilation is None else self.dilation)", ""),
        ("potential without its shift", "return (m + np.log(", "return (np.log("),
        ("dilation ignored in the soft scores", ".softmax(self.shifted(scores), soft)", ".softmax(scores, soft)"),
        ("the loss of the soft scores, not of their logarithm", "kernels.cross_entropy(self.log_soft(scores), targets, loss)",
         "kernels.cross_entropy(np.exp(self.log_soft(scores)), targets, loss)"),
        ("the Jacobian misses dilation's factor", "return self.dilate(softmax_jacobian(soft))",
         "return softmax_jacobian(soft)"),
        ("log_soft of scores as they came", "kernels.log_softmax(self.shifted(scores), z)", "kernels.log_softmax(scores, z)"),
    ],
    ("heads/elementwise.py", HEADS): [
        ("binary cross-entropy's target with the wrong sign", "- targets * x + np.log1p", "+ targets * x + np.log1p"),
        ("tanh encodes 0/1", 'name = "tanh"\n    low = -1.0', 'name = "tanh"\n    low = 0.0'),
        ("hardtanh encodes 0/1", 'name = "hardtanh"\n    low = -1.0', 'name = "hardtanh"\n    low = 0.0'),
        ("tanh's potential with the tail of sigmoid's", "np.log1p(np.exp(-2 * x)) - np.log(2)",
         "np.log1p(np.exp(-x)) - np.log(2)"),
        ("tanh's matching gradient without 1/2", "return half * (ratio", "return (ratio"),
        ("tanh's matching loss is not 0 at the target", "/ 2 - np.log(2)\n        return", "/ 2\n        return"),
        ("hardsigmoid's potential too steep", "((c + 3) ** 2 / 12", "((c + 3) ** 2 / 6"),
        ("hardsigmoid's loss has no tail", "(3 * error**2 + (x - c) * error)", "(3 * error**2)"),
        ("hardtanh's loss has no tail", " + (x - y) * (y - targets)", ""),
        ("hardtanh with tanh's derivative", "staticmethod(act.hardtanh_backward)", "staticmethod(act.tanh_backward)"),
        ("sigmoid's log y is log(1 - y)", "return -np.logaddexp(0, -np.asarray(scores, np.float64))",
         "return -np.logaddexp(0, np.asarray(scores, np.float64))"),
        ("identity's potential without 1/2", "(np.asarray(scores, np.float64) ** 2 / 2)",
         "(np.asarray(scores, np.float64) ** 2)"),
    ],
    ("heads/head.py", HEADS): [
        ("missing 1/N", "e /= batch(e)", "pass"),
        ("mean over N·C", "e /= batch(e)", "e /= e.size"),
        ("the loss's mean over N·C", "losses = losses / batch(self.scores)", "losses = losses / self.soft.size"),
        ("error: missing 1/N", "1 / batch(scores) if self.reduction == \"mean\" else 1.0", "1.0"),
        ("error: bad rows are sent", "refuse_bad_row(self.normalizer, scores, e)", "pass"),
        ("error: one pass for every route", "self.route, self.kernels) ==", "'isbe', self.kernels) =="),
        ("error: the scores before are kept", "self._last.scores = scores\n        return e", "return e"),
        ("error: targets are overwritten before they are read",
         "targets.copy() if np.may_share_memory(targets, e) else targets", "targets"),
        ("soft scores of the batch before",
         "        if self._last.soft is None and self._last.scores is not None:",
         "        if False:"),
        ("what forward returns is the head's own buffer", "return soft.copy() if out is None else out", "return soft"),
        ("0/1 encoding on the dense routes", "dense_targets(targets, y, *self.encoding)",
         "dense_targets(targets, y, 0.0, 1.0)"),
        ("stale soft scores after a refused forward", "self._last.scores = self._last.soft = None", "pass"),
        ("a route set is not the route taken", "        self._route = route\n",
         "        self._route = getattr(self, '_route', route)\n"),
    ],
    ("heads/reading.py", "tests/heads/test_targets.py tests/heads/test_head.py"): [
        ("one-hot a class too low", "targets[np.arange(len(labels)), labels] = high",
         "targets[np.arange(len(labels)), labels - 1] = high"),
        ("one-hot low is 0 always", "np.full(scores.shape, low, scores.dtype)", "np.zeros(scores.shape, scores.dtype)"),
    ],
    ("checks.py", "tests/test_checks.py tests/heads/test_targets.py"): [
        ("label C is let through", "max(initial=0) >= classes", "max(initial=0) > classes"),
        ("negative labels are let through", "indices.view(np.uint64).max(initial=0)", "indices.max(initial=0)"),
    ],
    ("layers/conv2d.py", "tests/engine/test_conv2d.py tests/test_reuse.py tests/test_initial_values.py"): [
        ("initial spread is the variance", "(2 / math.prod(shape[1:])) ** 0.5", "2 / math.prod(shape[1:])"),
        ("initial spread counts filters, not inputs",
         "(2 / math.prod(shape[1:])) ** 0.5", "(2 / math.prod(shape[:-1])) ** 0.5"),
        ("output one pixel too small", "return (self.filters, *((n - k) // s + 1 for",
         "return (self.filters, *(max(1, (n - k) // s) for"),
    ],
    ("engine/layers/conv2d.py", "tests/engine/test_conv2d.py"): [
        ("stale buffer: only the first batch is padded", "if step.work.inside is not None:",
         "if step.work.inside is not None and not step.work.images.any():"),
        ("stale buffer: the first bias for ever", "        step.work.start[...] = step.w.bias[:, None]",
         "        step.work.start[...] = step.work.start if step.work.start.any() else step.w.bias[:, None]"),
        ("stale buffer: weights turned for the first backward pass only", "gather(step.w.weight.reshape(-1), phase.index,",
         "phase.turned.any() or gather(step.w.weight.reshape(-1), phase.index,"),
        ("stale buffer: only the first error gets its border", "if work.error_inside is not None:",
         "if work.error_inside is not None and not work.errors.any():"),
        ("kernel not turned in the input gradient", "taps=(((o * height - m) * width - r) * P)",
         "taps=(((o * height - m) * width - r[..., ::-1]) * P)"),
        ("strided phases in each other's place", "to=((rows.pixel * W + columns.pixel) * N",
         "to=((columns.pixel * W + rows.pixel) * N"),
        ("a phase begins one output late", "first=(pixel + p - a) // s)", "first=(pixel + p - a) // s + (s > 1))"),
        ("padding (height, width) exchanged", "work.images.shape, self.core.padding)",
         "work.images.shape, self.core.padding[::-1])"),
    ],
    ("engine/layers/dense.py", "tests/engine/test_dense.py tests/layers/test_token_layers.py"): [
        ("bias gradient of rows beyond the first 1024 is lost", "                step.dw.bias += dw.bias\n",
         ""),
        ("a large error is not turned", "            transpose(error, work.error_turned)\n", "            pass\n"),
        ("gradients of the last block of rows alone", "dw = work.part if k else step.dw", "dw = step.dw"),
        ("every block of rows has the first one's errors", "work.error_turned.reshape(-1)[span.start:]",
         "work.error_turned.reshape(-1)"),
    ],
    ("layers/dense.py", "tests/test_initial_values.py"): [
        ("initial spread is the variance", "(2 / features) ** 0.5", "2 / features"),
        ("initial spread counts units, not features", "(2 / features) ** 0.5", "(2 / self.units) ** 0.5"),
    ],
    ("engine/layers/fused.py", "tests/test_fusion.py"): [
        ("the activation's limits are lost", "if activation is None or activation.limits is None",
         "if True"),
        ("a dense layer's error passes the activation", "self.core.backward_from_error(step, error)",
         "self.core.backward_from_error(step, step.dy)"),
    ],
    ("engine/replace.py", "tests/test_fusion.py"): [
        ("a subclass of Dense with a forward of its own is fused all the same", "if type(core) is Dense and activation:",
         "if isinstance(core, Dense) and activation:"),
        ("a subclass with a backward of its own is replaced all the same",
         "RUNS = (\"prepare\", \"prepare_backward\", \"forward\", \"backward\")",
         "RUNS = (\"prepare\", \"prepare_backward\", \"forward\")"),
        ("pools that leave gaps are fused as if their windows lay side by side", "pool.stride == pool.size and",
         "pool.stride >= pool.size and"),
        ("a pool with overlapping windows is fused", "and pool.stride == pool.size", ""),
        ("every activation is a ReLU", "type(after[0]) in (ReLU, HardTanh)", "isinstance(after[0], Activation)"),
    ],
    ("memory.py", "tests/test_memory.py -k not peak"): [
        ("one optimizer slot for all", "return Memory(parameters, slots, *_buffers(make(batch_size)))",
         "return Memory(parameters, parameters // 2, *_buffers(make(batch_size)))"),
        ("growth counted from the wrong size", "(batch_size - COUNTED) /", "batch_size /"),
        ("what layers remember is not counted", "[(step.work, step.state) for", "[step.work for"),
        ("what two places share counts twice", "if id(array) not in seen:", "if True:"),
    ],
    ("engine/normalization.py", "tests/engine/test_normalization.py"): [
        ("mean of the first block alone", "range(A):\n        row = x[a, c]\n        for i in range(B):\n            dist",
         "range(1):\n        row = x[a, c]\n        for i in range(B):\n            dist"),
        ("variance divided by M - 1", "squares / (A * B)", "squares / max(1, A * B - 1)"),
        ("the mean adds up numbers, not distances", "(A, _, B), first = x.shape, np.float64(x[0, c, 0])",
         "(A, _, B), first = x.shape, 0.0"),
        ("ε beside the root", "1 / np.sqrt(stats[1, c] + eps)", "1 / (np.sqrt(stats[1, c]) + eps)"),
        ("dx without the mean of the errors", "mean, share * total, share * r", "mean, 0.0, share * r"),
        ("dx without x̂ times its mean with the errors", "(dy[i] - common - slope * (x[i] - mean))", "(dy[i] - common)"),
        ("dx of x̂, not of x", "r * w[c], dx[a, c]", "np.float64(w[c]), dx[a, c]"),
        ("later columns have the mean of the first", "    for n in range(N):\n        row = x[n, start:end]\n"
         "        for k in range(mean.size):\n            mean[k] +=",
         "    for n in range(N):\n        row = x[n, :mean.size]\n        for k in range(mean.size):\n            mean[k] +="),
        ("dγ of columns without r", "products[k] += error[k] * (row[k] - mean[k]) * r[k]",
         "products[k] += error[k] * (row[k] - mean[k])"),
        ("missing clear of the columns' sums", "sums[1, start:end]\n        fill(products, 0.0)", "sums[1, start:end]"),
        ("last columns lost", "    for task in prange((C + COLUMNS - 1) // COLUMNS):\n"
         "        start, end = task * COLUMNS, min(C, task * COLUMNS + COLUMNS)\n        mean, variance",
         "    for task in prange(max(1, C // COLUMNS)):\n"
         "        start, end = task * COLUMNS, min(C, task * COLUMNS + COLUMNS)\n        mean, variance"),
        ("dγ of the first rows alone", "for p in range(1, P):", "for p in range(1, 1):"),
        ("rows between two parts lost", "range(p * R // P, (p + 1) * R // P)", "range(p * R // P, p * R // P + R // P)"),
        ("layer norm's dx forgets that γ differs", "        g = np.float64(w[i]) * dy[i]", "        g = np.float64(dy[i])"),
        ("layer norm's dx without r in x̂", "products * r * r / x.size", "products * r / x.size"),
    ],
    ("engine/attention.py", "tests/engine/test_attention.py"): [
        ("scores without 1/√d", "s.dtype.type(1 / np.sqrt(d))", "s.dtype.type(1)"),
        ("scores divided by √D", "s.dtype.type(1 / np.sqrt(d))", "s.dtype.type(1 / np.sqrt(D))"),
        ("gradient without 1/√d", "do.dtype.type(1 / np.sqrt(d))", "do.dtype.type(1)"),
        ("v is k", "flat[first + 2 * D:]", "flat[first + D:]"),
        ("every head is the first", "n * T * 3 * D + h * d", "n * T * 3 * D"),
        ("stale weights of later tokens", "    hide(a)\n", "    pass\n"),
        ("stale errors of later tokens", "        hide(da.reshape(T, T))\n", "        pass\n"),
        ("the softmax's Jacobian is its diagonal", "softmax_product(a, da.reshape(T, T), ds.reshape(T, T))",
         "np.multiply(a, da.reshape(T, T), ds.reshape(T, T))"),
        ("dk from the first tokens' q", "(q[after * 3 * D:], of_qkv", "(q, of_qkv"),
        ("dv from the first tokens' errors", "(do[after * D:], of_o", "(do, of_o"),
        ("dq sees the bands before alone", "before, after = (end, i) if causal", "before, after = (max(i, 1), i) if causal"),
        ("a causal band sees its first tokens alone", "seen = end if causal else T", "seen = max(i, 1) if causal else T"),
    ],
    ("engine/embedding.py", "tests/engine/test_embedding.py"): [
        ("a frequent token counts once", "first[tokens[m] + 2] += 1", "first[tokens[m] + 2] = 1"),
        ("missing clear of the counts", "    fill(first, 0)\n", "    pass\n"),
        ("missing clear of the sum", "        fill(total, 0.0)\n", "        pass\n"),
        ("sums rounded to the errors' dtype", "total[d] += row[d]", "total[d] = row.dtype.type(total[d] + row[d])"),
        ("a frequent token's last place lost", "range(first[v], first[v + 1])",
         "range(first[v], first[v + 1] - (first[v + 1] > first[v] + 1))"),
    ],
    ("kernels/augmentation.py", "tests/kernels/test_augmentation.py tests/training/test_augment.py"): [
        ("the last bits are not mixed", "return z ^ (z >> R31)", "return z"),
        ("every epoch is the first", "mix(seed + GOLDEN) + epoch + GOLDEN)", "mix(seed + GOLDEN) + GOLDEN)"),
        ("every image has the numbers of its place in the batch", "    for n in prange(N):\n"
         "        first = start(seed, epoch, np.uint64(indices[n]))\n        down", "    for n in prange(N):\n"
         "        first = start(seed, epoch, np.uint64(n))\n        down"),
        ("larger is smaller", "math.cos(turn) / size, math.sin(turn) / size", "math.cos(turn) * size, math.sin(turn) * size"),
        ("turned one way and leaned the other", "sine - lean * cosine, -sine", "sine + lean * cosine, -sine"),
        ("turned about the corner of a pixel", "0.5 * (W - 1), 0.5 * (H - 1)", "0.5 * W, 0.5 * H"),
        ("weights of the rows exchanged", "(1.0 - down) * above + down * below", "down * above + (1.0 - down) * below"),
        ("outside, the edge goes on", "inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]",
         "i, j, inside = min(max(i, 0), image.shape[0] - 1), min(max(j, 0), image.shape[1] - 1), True"),
        ("the outermost pixels are doubled", "2 * (size - 1) - i", "2 * size - 1 - i"),
        ("mirrored after the shift", "(W - 1 - j if flipped else j) - right", "(W - 1 - j + right if flipped else j - right)"),
        ("the largest shift never comes", "(2 * most + 1)) - most", "(2 * most)) - most"),
    ],
    ("datasets/cifar.py", "tests/datasets/test_cifar10.py"): [
        ("10 is a label", "if labels.max(initial=0) > 9:", "if labels.max(initial=0) > 10:"),
        ("the label is the last byte", "reshape(count, RECORD)[:, 0]", "reshape(count, RECORD)[:, -1]"),
        ("pixels are interleaved", "reshape(count, *IMAGE), labels", "reshape(count, 32, 32, 3).transpose(0, 3, 1, 2), labels"),
        ("any number of records", "if size != count * RECORD:", "if size % RECORD or size < count * RECORD:"),
        ("any content", "if content is not None and (came", "if False and (came"),
        ("the wrong record is named", "np.argmax(labels > 9)", "np.argmin(labels > 9)"),
    ],
    ("layers/normalization.py", "tests/layers/test_normalization_layers.py"): [
        ("running statistics move with x", "work.given = not step.mode.training", "work.given = False"),
        ("nothing is remembered", "            kernels.remember(", "            if False: kernels.remember("),
        ("evaluation by the last batch", "work.mean[:], work.variance[:] = state.mean, state.variance", "pass"),
        ("x moves running statistics in backward", "if work.given:  # no x", "if False:  # no x"),
        ("one momentum for all", "x.shape[1], self.momentum,", "x.shape[1], 0.1,"),
        ("a batch of one has a variance of 0", "if count == 1:", "if count == 0:"),
        ("batch norm with the batch first", "np.ascontiguousarray(np.moveaxis(array, 1, 0))",
         "np.ascontiguousarray(array)"),
        ("batch norm's dγ and dβ exchanged", "work.r, step.dw.scale, step.dw.shift)\n        if step.dx is None:",
         "work.r, step.dw.shift, step.dw.scale)\n        if step.dx is None:"),
    ],
    ("engine/layers/normalization.py", "tests/engine/test_layers.py"): [
        ("running statistics move with x", "1 / work.count if training else 0.0", "1 / work.count"),
        ("every channel has two numbers", "step.work.share = step.x.size // C, 0.0", "step.work.share = 2, 0.0"),
        ("nothing is remembered", "if training:\n            remember", "if False:\n            remember"),
        ("evaluation is remembered", "if training:\n            remember", "if True:\n            remember"),
        ("evaluation by the last batch", "if not training:\n", "if not training and not work.stats[2].any():\n"),
        ("one momentum for all", "self.core.momentum, step.state.mean", "0.1, step.state.mean"),
        ("one ε for all batch norms", "kernel(x, step.w.scale, step.w.shift, self.core.eps,",
         "kernel(x, step.w.scale, step.w.shift, 1e-5,"),
        ("one ε for all layer norms", "kernels.layer_norm(step.x.reshape(shape), step.w.scale, step.w.shift, self.core.eps,",
         "kernels.layer_norm(step.x.reshape(shape), step.w.scale, step.w.shift, 1e-5,"),
        ("dγ and dβ exchanged", "kernels.hand_over(work.parts[0], step.dw.scale, step.dw.shift)",
         "kernels.hand_over(work.parts[0], step.dw.shift, step.dw.scale)"),
    ],
    ("engine/layers/embedding.py", "tests/engine/test_layers.py"): [
        ("a token's errors are those of the batch before", "        sort_tokens(work.tokens, work.first, work.order)\n", ""),
        ("a position's errors are those of an example", "np.arange(N * T).reshape(N, T).T.ravel()", "np.arange(N * T)"),
        ("the error passes no position", "np.copyto(step.dx, step.dy)", "step.dx[...] = 0"),
        ("the mean is a sum", "np.divide(step.y, T, out=step.y)", "pass"),
    ],
    ("engine/layers/attention.py", "tests/engine/test_layers.py"): [
        ("places only for T rows: heads wider than T tokens are cut short", "places = np.arange(max(T, D))",
         "places = np.arange(T)"),
        ("causal attention sees all tokens", "attention(step.x, self.core.causal,", "attention(step.x, False,"),
        ("one head", "T, D), dtype, heads = step.y.shape, step.y.dtype, self.core.heads",
         "T, D), dtype, heads = step.y.shape, step.y.dtype, 1"),
    ],
    ("layers/attention.py", "tests/layers/test_attention_layers.py tests/test_initial_values.py"): [
        ("heads take their numbers in turn", "array.reshape(*array.shape[:2], *parts, self.heads, -1)",
         "array.reshape(*array.shape[:2], *parts, -1, self.heads).swapaxes(-1, -2)"),
        ("causal attention sees all tokens", "self.by_head(step.x, 3), self.causal,", "self.by_head(step.x, 3), False,"),
    ],
    ("layers/embedding.py", "tests/layers/test_embedding_layers.py"): [
        ("a position's errors of one example", "np.sum(step.dy, axis=0,", "np.sum(step.dy[:1], axis=0,"),
        ("the error passes no position", "np.copyto(step.dx, step.dy)", "step.dx[...] = 0"),
        ("a token has a derivative", "step.dx[...] = 0", "step.dx[...] = 1"),
    ],
    ("layers/tokens.py", "tests/layers/test_token_layers.py"): [
        ("the mean is a sum", "np.divide(step.y, step.x.shape[1], out=step.y)", "pass"),
        ("added up in float32", "axis=1, dtype=np.float64, out=step.y)", "axis=1, out=step.y)"),
    ],
    ("layers/pooling.py", "tests/kernels/test_pooling.py"): [
        ("the argmax index overflows one byte", "np.uint32", "np.uint8"),
        ("stride (height, width) exchanged", "max_pool2d(step.x, self.size, self.stride,",
         "max_pool2d(step.x, self.size, self.stride[::-1],"),
        ("stride 1 by default", "self.stride = self.size if stride is None", "self.stride = (1, 1) if stride is None"),
    ],
    ("layers/dropout.py", "tests/test_reuse.py tests/test_graph.py -k dropout"): [
        ("drops while evaluating", "if not step.mode.training:", "if False:"),
        ("backward after an evaluation uses the last choice", "step.work.dropped = step.mode.training",
         "step.work.dropped = step.work.dropped or step.mode.training"),
        ("the same numbers are dropped at every step", "step.mode.random.random(out", "np.random.default_rng(0).random(out"),
    ],
    ("layers/joining.py", GRAPH): [
        ("third input lost", "for x in step.xs[2:]:", "for x in step.xs[3:]:"),
        ("gradient added to the last one", "np.copyto(dx, step.dy)", "np.add(dx, step.dy, out=dx)"),
        ("the second input gets no gradient", "for dx in step.dxs:", "for dx in step.dxs[:1]:"),
    ],
    ("layers/activations.py", "tests/test_reuse.py tests/test_gradient_check.py tests/test_graph.py -k activation or layer"): [
        ("LeakyReLU has one slope for all", "dtype.type(self.slope)", "dtype.type(0.01)"),
        ("GELU with another's derivative", "kernels.gelu, kernels.gelu_backward", "kernels.gelu, kernels.relu_backward"),
    ],
    ("plan.py", f"{GRAPH} tests/test_fusion.py"): [
        ("a value that two read is fused away", "len(readers[before]) == 1", "True"),
        ("changed parameters go unnoticed", "if not np.array_equal(x, result.value, equal_nan=True):", "if False:"),
        ("an inner gradient is the outer one", "slot.grad = step.dx\n", "pass\n"),
        ("layouts exchanged on the way back", "turn(step.dy, step.dx, not self.to_last,",
         "turn(step.dy, step.dx, self.to_last,"),
        ("of several readers the last one's gradient stays", "total += scratch", "total[...] = scratch"),
        ("gradient counted twice where there are two readers", "additions.append((scratch, total))",
         "additions.extend([(scratch, total)] * 2)"),
        ("each reader overwrites the gradient", "if place not in written:", "if True:"),
        ("no gradient behind a layer without parameters", "if self.views.get(layer) or needed.intersection(sources):",
         "if self.views.get(layer):"),
        ("training is never switched on", "self.mode.training = training", "self.mode.training = False"),
        ("a value by name is batch last", "None if array is None else slot.batch_first(array)",
         "None if array is None else array.copy()"),
        ("stale error: only the first is copied", "np.copyto(self.output.grad, error)",
         "np.copyto(self.output.grad, self.output.grad if self.output.grad.any() else error)"),
        ("the plan without the input's gradient serves for both", "if to_input != self.to_input:",
         "if self.to_input is None:"),
        ("half a backward plan passes for a whole one", "self.backward_steps, self.to_input = [], None", "pass"),
    ],
    ("sharing.py", "tests/test_sharing.py"): [
        ("calls of two threads mix", "self._lock.acquire()", "contextlib.suppress(AttributeError)"),
        ("another thread's pass passes for one's own", "vars(self._thread)[kind] = self._passes[kind]", "pass"),
        ("backward passes are not told from forward passes", "vars(self._thread).get(kind, self._passes[kind])",
         "vars(self._thread).get('forward', self._passes[kind])"),
        ("two trainings of one network", "if not self._training.acquire(blocking=False):", "if False:"),
        ("a network is trained once only", "            self._training.release()", "            pass"),
    ],
    ("studies/kernels.py", "tests/studies/test_kernels.py"): [
        ("plain kernels are compared with themselves", "        twin.kernels = kernels\n", ""),
        ("both sets share one network", "twin = copy.deepcopy(net)", "twin = net"),
        ("NaN agrees", "key=lambda key: (np.isnan(gaps[key]), gaps[key])", "key=lambda key: np.nan_to_num(gaps[key])"),
        ("scores may differ", "self.scores <= TOLERANCE[self.dtype] and ", ""),
        ("a gradient of rounding is held against itself", "< ZERO * largest", "< 0 * largest"),
        ("every contestant runs fast kernels", "        net.kernels = kernels\n        return step()", "        return step()"),
        ("the head's kernels are never switched", "optimizer, x, y, kernels))", "optimizer, x, y))"),
        ("the network stays switched", "        net.kernels = before\n", "        pass\n"),
        ("ratios are to plain", 'paired_ratio(times, took["fast"])', 'paired_ratio(times, took["plain"])'),
        ("without a compiler plain is compared with plain",
         'if any(net.kernels != "fast" for net in nets.values()):', "if False:"),
    ],
    ("cli/training.py", "tests/test_cli.py tests/test_cli_checkpoint.py"): [
        ("train's network ignores --kernels",
         'image=data.x_train.shape[1:], kernels=chosen["kernels"])', "image=data.x_train.shape[1:])"),
        ("train's head ignores --kernels", 'chosen["route"], kernels=chosen["kernels"])', 'chosen["route"])'),
        ("kernels cannot be switched when a training goes on", 'FREE = ("kernels",)', "FREE = ()"),
    ],
    ("studies/measure.py", "tests/studies/test_measure.py"): [
        ("a turn begins with a timed call", "            wake(name)\n            times[name]", "            times[name]"),
        ("all rounds have the same order", "enumerate(orders(len(names), rounds, seed))",
         "enumerate([list(range(len(names)))] * rounds)"),
        ("an odd number of contestants is not balanced", "if count % 2:", "if False:"),
        ("every block is like the first", "names = random.permutation(count).tolist()", "names = list(range(count))"),
        ("ratios are not of the same round", "np.sort(np.subtract(*map(np.log, medians)))",
         "np.subtract(*map(np.sort, map(np.log, medians)))"),
        ("interrupted rounds count", "cut = rounds // 4", "cut = 0"),
        ("the interval is that of the rounds, not of their mean", "/ (len(middle) * freedom))", ")"),
        ("the interval is normal", "arm = student(freedom)", "arm = 1.96"),
    ],
    ("graph.py", f"{GRAPH} tests/test_initial_values.py"): [
        ("parameters overlap", "weights.shape, total))", "weights.shape, max(0, total - unit)))"),
        ("the seed is ignored", "np.random.default_rng([self.seed, 0])", "np.random.default_rng([0, 0])"),
        ("dropout's random numbers ignore the seed", "np.random.default_rng([self.seed, 1])", "np.random.default_rng([0, 1])"),
        ("the last backward pass's gradient after a new forward", "        self._ran, self._went_back = None, False",
         "        self._ran = None"),
        ("scores are the graph's own buffer", "return scores.copy()", "return scores"),
        ("the input's gradient is batch last", "self._ran.input.batch_first(self._ran.input.grad)",
         "self._ran.input.grad.copy()"),
        ("a batch that is not finite is taken", "if not plan.take(batch):", "if plan.take(batch) is None:"),
        ("buffers serve every batch size", "if key not in self._plans:", "if not self._plans:"),
        ("evaluating switches training on", "scores = plan.forward(training)", "scores = plan.forward(True)"),
    ],
    ("classroom/judge.py", "tests/classroom/test_judge.py"): [
        ("NaN is right, as no comparison is true of it", "if right.all():", "if not (gap > tolerance * scale).any():"),
        ("shapes are not compared", "if have.shape != want.shape:", "if have.size != want.size:"),
        ("dtypes are never compared", "if same_dtype and have", "if False and have"),
        ("infinity is right where anything infinite is expected", "(have == want) |",
         "(np.isinf(have) & np.isinf(want)) | (have == want) |"),
        ("the scale counts infinities", "where=np.isfinite(want)", "where=~np.isnan(want)"),
        ("too few results are right", "if len(got) != len(expected):", "if len(got) > len(expected):"),
        ("the first wrong element is shown, not the worst", "int(np.argmax(badness))", "int(np.argmax(~right))"),
    ],
    ("classroom/protocol.py", "tests/classroom/test_protocol.py"): [
        ("bytes beyond the arrays pass", "if at != len(view):", "if at > len(view):"),
        ("bytes that are missing pass", "if at + count > len(view):", "if count > len(view):"),
        ("lengths without limit", "> MOST_NUMBERS:", "> 2**200:"),
        ("any number of axes", " or axes > MOST_AXES", ""),
        ("None is an answer", "    if value is None:", "    if False:"),
        ("numbers come back as arrays", "array.item() if number and not axes else array", "array"),
    ],
    ("classroom/sandbox_limits.py", "tests/classroom/test_sandbox.py"): [
        ("files: the rules are made and not put in force", 'stand["files"] = C.syscall(446, rules, 0) == 0',
         'stand["files"] = True'),
        ("memory is not limited", "resource.setrlimit(number, (most, most))",
         'name == "AS" or resource.setrlimit(number, (most, most))'),
        ("limits can be raised again", "resource.setrlimit(number, (most, most))", "resource.setrlimit(number, (most, hard))"),
        ("root stays root", "os.setresuid(65534, 65534, 65534)", "pass"),
    ],
    ("classroom/calls.py", "tests/classroom/test_sandbox.py"): [
        ("the filter is not put in force", "return C.syscall(seccomp, 1, 1, ctypes.byref(program)) == 0", "return True"),
        ("fork is let through", '"clone": (56, 220), ', '"clone": (57, 220), '),
        ("sockets are let through", '"socket": (41, 198), "socketpair"', '"socketpair"'),
        ("signals are let through", '"kill": (62, 129), ', ""),
        ("modes of files may change", '"fchmodat": (268, 53), ', ""),
        ("limits of others may be set", '"prlimit64": (302, 261)', '"tkill": (200, 130)'),
    ],
    ("classroom/runner.py", "tests/classroom/test_sandbox.py"): [
        ("the package can be imported", "if name.partition(\".\")[0] not in self.allowed and not", "if False and not"),
        ("prints beyond the limit are errors", "        except OSError:\n            return len(text)",
         "        except KeyError:\n            return len(text)"),
    ],
    ("classroom/sandbox.py", "tests/classroom/test_sandbox.py"): [
        ("a reply of any length is read", "if length > (most if kind == b\"A\" else TOLD):", "if length > 2**63:"),
        ("the grader's variables go in", 'env={"OPENBLAS', 'env={**os.environ, "OPENBLAS'),
        ("its folder is left", "shutil.rmtree(self.folder, ignore_errors=True)", "pass"),
        ("later calls have the first one's time", "self.limits.call if self._called else self.limits.first",
         "self.limits.first"),
    ],
    ("classroom/readable_paths.py", "tests/classroom/test_sandbox.py"): [
        ("the package can be read", '"/dev/null", "/dev/zero"', 'str(Path(__file__).parents[1]), "/dev/null", "/dev/zero"'),
        ("every package can be imported", "for module in modules for package in MODULES[module]]",
         'for module in modules for package in (*MODULES[module], "matplotlib")]'),
    ],
    ("classroom/grading.py", "tests/classroom/test_grading.py"): [
        ("one failed check fails its task", "return sum(check.score for check in self.checks)",
         "return self.points if all(check.passed for check in self.checks) else 0"),
        ("the seed does not reach the cases", "generator(settings.seed, task, check)", "generator(0, task, check)"),
        ("only the first case is judged", "for k, answer in enumerate(answers):", "for k, answer in enumerate(answers[:1]):"),
        ("a process that was stopped is asked again", "            self.close()\n            return _Answer(()",
         "            return _Answer(()"),
        ("a race counts whatever it answered", "if _outcome(assignment, task, race, raced).passed:", "if raced:"),
        ("limits cannot be overridden", "return replace(task.limits, **dict(self.limits))", "return replace(task.limits)"),
        ("the time of a submission is not limited", " or time.monotonic() > self.deadline:", ":"),
    ],
    ("classroom/release.py", "tests/classroom/test_release.py"): [
        ("the solution stays", "            if not begun:\n", "            if True:\n"),
        ("no end is no fault", "    if begun:\n        raise", "    if False:\n        raise"),
        ("traces are not looked for", "        if traces:\n", "        if False:\n"),
        ("the stub is not tried", "if check.passed == (what == \"stub\")]", "if not check.passed and what == \"solution\"]"),
        ("what is there is written over", "if out.exists() and (not out.is_dir() or any(out.iterdir())):", "if False:"),
    ],
    ("classroom/submissions.py", "tests/classroom/test_submissions.py"): [
        ("links are followed", "os.O_RDONLY | os.O_NOFOLLOW |", "os.O_RDONLY |"),
        ("links to folders are followed", "entry.is_dir(follow_symlinks=False)", "entry.is_dir()"),
        ("any size is read", "if kind.st_size > LARGEST:", "if False:"),
        ("two students share a file", "while key.casefold() in taken:", "while False:"),
    ],
    ("classroom/safe.py", "tests/classroom/test_submissions.py"): [
        ("characters that steer a terminal pass", '"Cc", "Cf", "Cs"', '"Cf", "Cs"'),
        ("characters that turn the writing pass", '"Cc", "Cf", "Cs"', '"Cc", "Cs"'),
        ("spreadsheets get formulas", 'tuple("=+-@＝＋－＠")', 'tuple("=+@＝＋－＠")'),
        ("fences can be closed from within", "max(3, longest + 1)", "3"),
        ("tags pass into Markdown", "html.escape(line(text, 600), quote=False)", "line(text, 600)"),
    ],
    ("classroom/whole_class.py", "tests/classroom/test_whole_class.py"): [
        ("an old report of another text is kept", "told = json.dumps([submission.source, submission.fault,",
         "told = json.dumps([submission.student, submission.fault,"),
        ("an old report of other limits is kept", "settings.seed, settings.seconds, settings.limits", "settings.seed"),
        ("nothing is kept", 'if told["fingerprint"] ==', 'if told["fingerprint"] is'),
        ("the secret seed is 0", "secrets.randbits(48)", "0"),
        ("no result before the first", "    if for_gradescope:  # whatever", "    if False:  # whatever"),
        ("results among submissions", "    refuse_inside(out, place)\n", ""),
        ("the grader's own fault is kept", "                if error is None:\n                    _keep",
         "                if True:\n                    _keep"),
    ],
    ("classroom/feedback.py", "tests/classroom/test_whole_class.py"): [
        ("names pass as tags", "{html.escape(line(student))}</a>", "{line(student)}</a>"),
        ("messages pass as tags", "return html.escape(plain(text))", "return plain(text)"),
        ("prints pass as Markdown", "fenced(report.printed)", "report.printed"),
        ("file names are formulas", "writer.writerow([cell(student), cell(file),", "writer.writerow([student, file,"),
    ],
    ("storage/archive.py", "tests/storage/test_archive.py"): [
        ("the sum is not compared", "        if came != written:\n", "        if False:\n"),
        ("a second member of a name", "if info.filename in members or plain != (", "if plain != ("),
        ("compressed members", "(zipfile.ZIP_STORED, 0, info.compress_size,", "(info.compress_type, 0, info.file_size,"),
        ("gaps between members", "info.compress_size, place, 0, 0)", "info.compress_size, info.header_offset, 0, 0)"),
        ("other names than the model's",
         "        if wanted != self._members.keys():\n", "        if wanted - self._members.keys():\n"),
        ("other shapes of the same size", "            if header != wanted_header:\n", "            if False:\n"),
        ("a lone surrogate is a backslash", 'errors="surrogatepass"', 'errors="backslashreplace"'),
        ("facts of any length", "info.file_size > MOST_FACTS:", "False:"),
        ("another header where the member is",
         "            if self._file.read(LOCAL + len(info.filename)) != info.FileHeader():\n",
         "            if False:\n"),
        ("the time of day in a file", "return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))",
         "import time\n    return zipfile.ZipInfo(name, time.localtime(time.time_ns() / 1e4)[:6])"),
    ],
    ("storage/files.py", "tests/storage/test_archive.py"): [
        ("names twice in the facts", "    if len(found) != len(pairs):\n", "    if False:\n"),
        ("facts of any depth", "        if not level:\n            return found\n    raise deep",
         "        pass\n    return found"),
    ],
    ("storage/files.py", "tests/storage/test_files.py"): [
        ("the file is not on the disk when it gets its name", "            os.fsync(file.fileno())\n", ""),
        ("the folder is not on the disk", "            os.fsync(descriptor)\n", "            pass\n"),
        ("the file before is not kept", "            _keep(path, path.with_name", "            (path, path.with_name"),
        ("for a moment there is no file", "        os.link(path, link)\n        os.replace(link, previous)\n",
         "        os.replace(path, previous)\n"),
        ("a part stays after an error", "        part.unlink(missing_ok=True)\n        raise", "        raise"),
        ("a folder is put aside", "    if kind is not None and not linked:\n", "    if False:\n"),
        ("every link is followed", "Path(os.path.realpath(path)) if follow else", "Path(os.path.realpath(path)) if True else"),
        ("a link is kept as the file before", "path.exists() and not linked:", "path.exists():"),
        ("a pipe is waited for",
         "            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):\n", "            if False:\n"),
        ("lines from a file", "letter if letter.isprintable() else", "letter if True else"),
    ],
    ("storage/locks.py", "tests/storage/test_locks.py"): [
        ("nobody is kept out", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
        ("a lock that forked children keep", "            _unlock(self._descriptor)", "            pass"),
        ("a link is followed", "    if kind is not None:\n", "    if False:\n"),
        ("a file of two names is emptied", "st_nlink <= 1", "st_nlink"),
    ],
    ("storage/json_data.py", "tests/storage/test_json_data.py"): [
        ("True is a number", "pattern is bool or not isinstance(value, bool)", "True"),
        ("more names than there should be", "value.keys() != pattern.keys()", "not value.keys() >= pattern.keys()"),
    ],
    ("compiler/entries.py", "tests/compiler/test_entries.py"): [
        ("a stranger's kernel is run", "    if status.st_uid not in _owners():\n", "    if False:\n"),
        ("a kernel that others may write", "stat.S_IWGRP | stat.S_IWOTH", "0"),
        ("links are followed", 'flags | getattr(os, "O_NOFOLLOW", 0) |', "flags |"),
        ("a kernel in another's place",
         '    return hashlib.sha256(f"{path.parent.name}/{path.name}\\0".encode() + data).digest()',
         "    return hashlib.sha256(data).digest()"),
    ],
    ("datasets/download.py", "tests/datasets/test_download.py"): [
        ("what is wrong stays for the next time", "    part.truncate(part.seek(0))\n    if not start:", "    if not start:"),
        ("any length is taken", "            if size > most:\n", "            if False:\n"),
        ("another piece is taken for the rest", 'headers.get("Content-Range", "").startswith(f"bytes {start}-")', "True"),
        ("a mirror that is away is the end", "    for turn in range(ROUNDS):", "    for turn in range(1):"),
    ],
    ("datasets/web.py", "tests/datasets/test_download.py"): [
        ("any address is asked", "    if parts.scheme != \"https\" and not here:\n", "    if False:\n"),
        ("a way back from HTTPS", " and before.startswith(\"http:\")", ""),
    ],
    ("training/differences.py", "tests/training/test_keeping.py"): [
        ("the training of another seed goes on", 'name not in (DATA, "batches")]', 'name not in (DATA, "batches", "seed")]'),
    ],
    ("training/keeping.py", "tests/test_cli_checkpoint.py -k kernels"): [
        ("switched kernels are not told", 'self._environment["kernel_set"] = ', "_ = "),
    ],
    ("training/keeping.py", "tests/training/test_keeping.py"): [
        ("a damaged checkpoint stays in its place", "                os.replace(file, aside)\n", ""),
        ("the checkpoint before is not looked at",
         "for file in (self.file, checkpoint.previous_of(self.file)):\n            try",
         "for file in (self.file,):\n            try"),
        ("other numbers of the same shapes are the same data", "found.update(array.reshape(-1).view(np.uint8).data)", "pass"),
        ("more epochs under a schedule", 'if now["schedule"] == "constant":', "if True:"),
        ("the last step's rate is saved as the optimizer's", "run.optimizer.learning_rate = run.base", "pass"),
        ("a signal is heeded after the epoch alone", "        self.stopping.working()\n        if self.stopping.asked or time",
         "        self.stopping.working()\n        if time"),
        ("a full disk ends the training", "except (OSError, ValueError) as fault:\n            reason",
         "except ZeroDivisionError as fault:\n            reason"),
        ("a full disk at the start is for later",
         "            self._write(run)\n        except OSError as fault:\n            raise",
         "            self.save(run)\n        except OSError as fault:\n            raise"),
        ("what a killed process left stays", "                part.unlink()\n", "                pass\n"),
        ("another version is not told of", "        if apart:\n", "        if False:\n"),
        ("a second training is let in",
         "            self._lock = Lock(self.path / LOCK)", '            self._lock = Lock(self.path / f"lock{id(self)}")'),
        ("odd files are found out later", "            if kind := odd(file):\n", "            if False:\n"),
        ("the note is lost", "self.note = found.note if self.note is None else self.note", "pass"),
        ("no interval is kept", "time.monotonic() - self._saved >= self.seconds", "False"),
        ("each step after the first interval", "        self._saved = time.monotonic()\n\n", "\n"),
        ("the checkpoint before alone is none", "return self.file.exists() or checkpoint.previous_of(self.file).exists()",
         "return self.file.exists()"),
        ("data of other shapes are the same", "{name} {array.shape} {array.dtype.str}", "{name} {array.dtype.str}"),
        ("data of other dtypes are the same", "{name} {array.shape} {array.dtype.str}", "{name} {array.shape}"),
        ("text from a file is logged as it is", 'one_line("; ".join(apart))', '"; ".join(apart)'),
        ("a checkpoint is overwritten without resume", "if self.folder.holds_one() and not resume:", "if False:"),
    ],
    ("training/stopping.py", "tests/training/test_keeping.py"): [
        ("Ctrl-C ends a step halfway",
         "            raise KeyboardInterrupt", "            pass\n        raise KeyboardInterrupt"),
        ("a second Ctrl-C is not heeded", "at_once, self._at_once = self._at_once, True", "at_once = self._at_once"),
        ("handlers stay", "            signal.signal(number, handler)", "            pass"),
    ],
    ("training/train.py", "tests/training/test_keeping.py tests/training/test_train.py"): [
        ("an epoch begins anew", "first=watch.batch)", "first=0)"),
        ("what is not finite is seen after the update", "        watch.gradients()\n        optimizer.step(net)",
         "        optimizer.step(net)\n        watch.gradients()"),
        ("the schedule is one step ahead", "(watch.history.steps + 0.5)", "(watch.history.steps + 1.5)"),
        ("a step runs as in evaluation", "net.forward(x, training=True)", "net.forward(x)"),
    ],
    ("training/task.py", "tests/training/test_keeping.py tests/training/test_precautions.py"): [
        ("the last batch is never left out", "self.augment, first, self.drop_last)", "self.augment, first)"),
        ("batches that are done come again", "self.augment, first, self.drop_last)", "self.augment, 0, self.drop_last)"),
    ],
    ("training/running.py", "tests/training/test_train.py"): [
        ("the schedule's last rate stays", "            task.optimizer.learning_rate = task.base\n", "            pass\n"),
    ],
    ("training/observer.py", "tests/training/test_keeping.py"): [
        ("what the epoch added up is lost", 'Sums(**training["sums"])', "Sums()"),
        ("the first examples are lost",
         "        self.early.recall(itertools.chain.from_iterable(epochs), found.early)", "        pass"),
        ("the first examples are those of one epoch",
         "map(self.task.batches, range(self.epoch + 1))", "[self.task.batches(0)]"),
        ("a checkpoint between the last step and the evaluation",
         "if self.keeping is not None and self.batch < self.task.per_epoch:", "if self.keeping is not None:"),
    ],
    ("training/observer.py", "tests/training/test_train.py"): [
        ("scores that are not finite reach the head", "if not all_finite(scores.reshape(-1)):", "if False:"),
        ("what the head refuses ends the script", "if at_head and isinstance(fault, FloatingPointError):", "if False:"),
        ("gradients that are not finite reach the parameters", "if not math.isfinite(self.norm):", "if False:"),
        ("a change that overflows reaches the parameters",
         "if rate * self.norm > float(np.finfo(self.net.dtype).max) / MARGIN:",
         "if False:"),
        ("a mean loss counts once for a batch of any size", '(examples if self.head.reduction == "mean" else 1)', "1"),
        ("norms are not added up", "        sums.norm += self.norm\n", ""),
        ("an epoch goes on adding to the one before", "self.epoch + 1, 0, Sums(), time", "self.epoch + 1, 0, self.sums, time"),
        ("an evaluation that is cut short leaves half an entry",
         "        try:\n            reached",
         "        history.seconds.append(sums.seconds)\n        try:\n            reached"),
    ],
    ("training/checkpoint.py", "tests/training/test_checkpoint.py"): [
        ("the optimizer's memory is not filled", 'for name, part in net.parts(slot).items():\n                part[...]',
         'for name, part in ():\n                part[...]'),
        ("running statistics are not filled", "        array[...] = arrays", "        array.copy()[...] = arrays"),
        ("random numbers begin anew", "    net.random.bit_generator.state = random.bit_generator.state\n", ""),
        ("a network that was passed may have other layers", "    if gap:\n", "    if False:\n"),
        ("a training follows links", "previous_of(path), training is None)", "previous_of(path), True)"),
        ("text of a history is shown as it is", "one_line(value) if isinstance(value, str) else value", "value"),
        ("a head that was passed may be another", "            if then != now:\n", "            if False:\n"),
        ("types of facts are not looked at",
         "    if fault is not None:\n        raise file.fault(*fault)", "    if False:\n        raise"),
        ("counts below 0", "not 0 <= count < 2**53", "not count < 2**53"),
    ],
    ("training/description.py", "tests/training/test_checkpoint.py tests/training/test_description.py"): [
        ("the same layers may be joined otherwise",
         'return None if here["nodes"] == told["nodes"] else', "return None if True else"),
        ("layers of any class that there is",
         "        elif kind not in allowed:\n", "        elif not hasattr(built_in, kind):\n"),
        ("nodes read nodes after them", "all(0 <= read < len(nodes) for", "all(read != len(nodes) for"),
        ("values of any size", "        if math.prod(nodes[-1].shape) > MOST_VALUES:\n", "        if False:\n"),
        ("random numbers of another kind", "    if plain(generator.bit_generator.state) != told:\n", "    if False:\n"),
    ],
    ("training/exchange.py", "tests/training/test_exchange.py"): [
        ("arrays that nobody asked for", "            if lacks or odd:\n", "            if lacks:\n"),
        ("any shape that fits in", "                if came != right:\n", "                if came[1] != right[1]:\n"),
        ("a pipe is waited for", "with opened(path, REMEDY), library", "with library"),
        ("two arrays of a name", "    if twice:\n", "    if False:\n"),
        ("γ keeps the name that it has here", "{NORMS[part] if isinstance(layer, Normalization) else part}", "{part}"),
    ],
    ("executors.py", "tests/test_executors.py"): [
        ("a dead worker ends its tasks", "TRIES = 3", "TRIES = 1"),
        ("all are in flight at once", "most = beside or", "most = 10**9 or"),
        ("tasks that were under way are never alone", "alone = max(left.values()) > 0", "alone = False"),
    ],
}


@dataclass
class Fault:
    """One change of one file of the package, and the tests that should notice."""

    file: str
    what: str
    old: str
    new: str
    tests: str

    def put_into(self, package: Path) -> str:
        """Write the fault into the copy and return the sound text; ValueError where the old text is not there once."""
        sound = (package / self.file).read_text(encoding="utf-8")
        if (times := sound.count(self.old)) != 1:
            raise ValueError(f"{self.file}: '{self.what}' expects its old text once; found it {times} times:\n{self.old}")
        (package / self.file).write_text(sound.replace(self.old, self.new), encoding="utf-8")
        return sound


def faults(only: str = "") -> list[Fault]:
    """The table as a list; of those alone whose file or description holds `only`."""
    rows = [Fault(file, what, old, new, tests) for (file, tests), group in FAULTS.items() for what, old, new in group]
    return [row for row in rows if only.lower() in f"{row.file} {row.what}".lower()]


def copy_project(to: Path) -> Path:
    """A copy of the package and its tests, without anything compiled."""
    for folder in ("isbe_np", "tests", "tutorials/assignments"):
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", to)
    return to


def run_tests(folder: Path, tests: str) -> tuple[int, str]:
    """Pytest's exit code and output, in plain Python; no compiled code and no bytecode is kept, as both could be stale."""
    settings = {"NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder), "MPLBACKEND": "Agg"}
    files, _, keyword = tests.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=line", "-p", "no:cacheprovider", *files.split(),
               "-m", "not peers and not browser",
               *(["-k", keyword] if keyword else []), *(f"--deselect={name}" for name in TOO_SLOW)]
    try:
        done = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return -1, f"no end after {SECONDS} s"
    return done.returncode, done.stdout + done.stderr


def verdict(code: int, output: str) -> tuple[str, str]:
    """("caught", by which test), ("survived", ""), or ("broken", why) where the tests could not tell."""
    failed = re.search(r"^FAILED (.+?)( - .*)?$", output, re.MULTILINE)
    if code == 0:
        return "survived", ""
    if code != 1 or not failed:
        return "broken", " ".join(output.split())[-200:]
    if re.search(r"(NameError|SyntaxError|ImportError|UnboundLocalError)", failed[2] or ""):
        return "broken", failed[0]
    return "caught", failed[1].removeprefix("tests/")


def try_fault(fault: Fault, folders: SimpleQueue) -> dict:
    """Put one fault into a copy that nobody uses at the moment, run its tests, and mend the copy."""
    folder = folders.get()
    sound = fault.put_into(folder / "isbe_np")
    try:
        result, by = verdict(*run_tests(folder, fault.tests))
    finally:
        (folder / "isbe_np" / fault.file).write_text(sound, encoding="utf-8")
        folders.put(folder)
    print(f"{result:9}{fault.file}: {fault.what}", file=sys.stderr, flush=True)
    return {"file": fault.file, "fault": fault.what, "result": result, "by": by}


def try_all(rows: list[Fault], workers: int) -> list[dict]:
    """The results of all faults, in the order of the table. ValueError where a row does not fit, or the sound copy fails."""
    with tempfile.TemporaryDirectory(prefix="isbe_faults_") as name:
        folders: SimpleQueue = SimpleQueue()
        copies = [copy_project(Path(name) / str(k)) for k in range(workers)]
        for row in rows:  # all of them before the first test: a table that does not fit is told at once
            sound = row.put_into(copies[0] / "isbe_np")
            (copies[0] / "isbe_np" / row.file).write_text(sound, encoding="utf-8")
        for copy in copies:
            folders.put(copy)
        with ThreadPoolExecutor(workers) as pool:
            for tests, (code, output) in zip(wanted := sorted({row.tests for row in rows}),
                                             pool.map(lambda tests: run_sound(tests, folders), wanted), strict=True):
                if code != 0:
                    raise ValueError(f"Without any fault, pytest {tests} ends with {code}:\n{output[-2000:]}")
            return list(pool.map(lambda row: try_fault(row, folders), rows))


def run_sound(tests: str, folders: SimpleQueue) -> tuple[int, str]:
    """`run_tests` in a copy that nobody uses at the moment and that holds no fault."""
    folder = folders.get()
    try:
        return run_tests(folder, tests)
    finally:
        folders.put(folder)


def main() -> int:
    """Try the faults, print the table, and say how it ended by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="faults whose file or description holds TEXT")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="test runs at a time (default 2)")
    parser.add_argument("--json", type=file_path, metavar="FILE", help="also write the results to FILE")
    options = parser.parse_args()
    rows = faults(options.only)
    if not rows or options.workers < 1:
        print("inject_faults: no such fault, or fewer than one worker.", file=sys.stderr)
        return 2
    try:
        results = try_all(rows, options.workers)
    except ValueError as refusal:
        print(f"inject_faults: {refusal}", file=sys.stderr)
        return 2
    print(table(("file", "fault", "result", "by"), [tuple(row.values()) for row in results], left=4))
    missed = [row for row in results if row["result"] != "caught"]
    print(f"\n{len(results) - len(missed)} of {len(results)} faults caught.")
    for row in missed:
        print(f"{row['result'].upper()}: {row['file']}: {row['fault']} {row['by']}")
    if options.json:
        write_json(options.json, {"faults": results, "caught": len(results) - len(missed)})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
