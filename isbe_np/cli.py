"""The command line: `isbe`, or `python -m isbe_np`. Every subcommand is a thin call into one module.

Exit codes: 0 done; 1 the run itself went wrong (training diverged, a file failed its check); 2 unusable arguments or
input; 130 interrupted with Ctrl-C, after what there was so far has been written. With ISBE_DEBUG=1 an error shows
where it arose.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NoReturn

from isbe_np import datasets
from isbe_np.checks import nearest, whole
from isbe_np.environment import describe
from isbe_np.heads import LOSSES, NORMALIZERS, ROUTES, Head
from isbe_np.networks import NETWORKS
from isbe_np.training import SCHEDULES, SGD, train
from isbe_np.training.recipes import RECIPES

INTERRUPTED = 130
# The parts of `Memory`, as `isbe info --net` explains them.
PARTS = {"parameters": "weights and biases, and their gradients",
         "slots": "what SGD with momentum remembers of each of them",
         "values": "of all layers, for the whole batch",
         "errors": "the gradients by those values",
         "work": "what layers keep for themselves: bordered images, winners of pooling"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as stop:  # after --help, or arguments that argparse has refused
        return stop.code if isinstance(stop.code, int) else 2
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without µ shows "?" rather than lose the results
    try:
        _check_outputs(given)
        return given.run(given)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError, MemoryError) as fault:
        if os.environ.get("ISBE_DEBUG"):
            raise
        print(f"isbe {given.command}: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"isbe {given.command}: interrupted.", file=sys.stderr)
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="isbe", description="Learn, test and time one idea: a classifier's softmax "
                                     "Jacobian times its cross-entropy gradient is softmax(scores) - target.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    compare = commands.add_parser("compare", help="do the four routes agree, what does each cost, do two train alike")
    _add_data(compare, "digits")
    compare.add_argument("--net", default="lenet5",
                         help=f"network to time and train: {', '.join(NETWORKS)} (%(default)s)")
    compare.add_argument("--routes", nargs=2, default=["isbe", "fused"], metavar="ROUTE",
                         help=f"the two to train by, of {', '.join(ROUTES)} (isbe fused)")
    compare.add_argument("--epochs", type=_count, default=2, help="of each training (%(default)s)")
    compare.add_argument("--batch-size", type=_count, default=128, help="(%(default)s)")
    compare.add_argument("--images", type=_count, nargs=2, default=[10000, 2000], metavar=("TRAIN", "TEST"),
                         help="how many images to train and to test on (10000 2000)")
    compare.add_argument("--rounds", type=_count, default=40, help="timed rounds of a training step (%(default)s)")
    compare.add_argument("--out", type=Path, metavar="DIR", help="folder for PNG figures")
    _add_common(compare, _compare)

    trainer = commands.add_parser("train", help="train a network; what is not given comes from the network's recipe")
    _add_data(trainer, "digits")
    trainer.add_argument("--net", default="lenet5", help=f"{', '.join(NETWORKS)} (%(default)s)")
    trainer.add_argument("--normalizer", default="softmax", help=f"{', '.join(NORMALIZERS)} (%(default)s)")
    trainer.add_argument("--route", default="isbe", help=f"{', '.join(ROUTES)} (%(default)s)")
    trainer.add_argument("--epochs", type=_count)
    trainer.add_argument("--batch-size", type=_count)
    trainer.add_argument("--learning-rate", type=float, help="the schedule's peak")
    trainer.add_argument("--weight-decay", type=float)
    trainer.add_argument("--schedule", help=", ".join(SCHEDULES))
    trainer.add_argument("--loss", action="store_true", help="also compute the loss, which route isbe does not need")
    _add_common(trainer, _train)

    explainer = commands.add_parser("explain", help="one example step by step: every number from scores to error")
    explainer._negative_number_matcher = re.compile(r"-(\d|\.\d|inf)")  # "-1,2" is a value too, not an option
    explainer.add_argument("--scores", type=_numbers, nargs="+", required=True, metavar="X", help="such as 2,1,0.1")
    explainer.add_argument("--target", type=_numbers, nargs="+", required=True, metavar="T",
                           help="the label's number from 0, or a number for each class")
    explainer.add_argument("--normalizer", default="softmax", help=f"{', '.join(NORMALIZERS)} (%(default)s)")
    explainer.add_argument("--route", default="isbe", help=f"{', '.join(ROUTES)} (%(default)s)")
    explainer.add_argument("--loss", help=f"what the first three routes differentiate: {', '.join(LOSSES)} (matching)")
    explainer.add_argument("--dilation", type=_numbers, nargs="+", metavar="K", help="of softmax(K x), one or for each class")
    explainer.add_argument("--smoothing", type=float, default=0.0, metavar="E",
                           help="share of the target that is spread over all classes (%(default)s)")
    explainer.add_argument("--dtype", default="float64", help="float32 or float64 (%(default)s)")
    explainer.add_argument("--out", type=Path, metavar="DIR", help="folder for the same as a PNG figure")
    _add_json(explainer, _explain)

    study = commands.add_parser("study", help="answer one question by measuring")
    study.add_argument("name", metavar="NAME", help="normalizers: which of them, with which loss, suit ISBE")
    _add_common(study, _study)

    data = commands.add_parser("data", help="fetch, verify or list data sets")
    data.add_argument("action", choices=["fetch", "verify", "list"])
    data.add_argument("name", nargs="?", help="data set, for fetch and verify")
    data.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the data sets")
    _add_json(data, _data)

    warmup = commands.add_parser("warmup", help="compile all kernels now, so that no first step waits for the compiler")
    warmup.add_argument("--nets", nargs="+", default=list(NETWORKS), metavar="NET",
                        help=f"networks, of {', '.join(NETWORKS)} (all)")
    warmup.add_argument("--dtype", default="both", help="float32, float64 or both (%(default)s)")
    _add_json(warmup, _warmup)

    info = commands.add_parser("info", help="versions, threads and caches; or a network's layers and memory")
    info.add_argument("--net", help=f"the network to tell of instead: {', '.join(NETWORKS)}")
    info.add_argument("--batch", "--batch-size", type=_count, metavar="N",
                      help="examples in a batch, which decide the memory (that of the network's recipe)")
    _add_json(info, _info)
    return parser


def _count(text: str) -> int:
    """An argument that counts something, at least 1."""
    try:
        return whole("this option", int(text))
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"expects a whole number of at least 1; got {text}") from fault


def _numbers(text: str) -> list[float]:
    """An argument of numbers with commas between them."""
    try:
        return [float(part) for part in text.removesuffix(",").split(",")]
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"expects numbers with commas between them, such as 2,1,0.1; got {text!r}") from fault


def _add_data(parser, default: str) -> None:
    parser.add_argument("--data", default=default, help=f"{', '.join(datasets.NAMES)} (%(default)s)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the data sets (or set ISBE_DATA_DIR)")


def _add_common(parser, run) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of the parameters and the batches (%(default)s)")
    _add_json(parser, run)


def _add_json(parser, run) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    parser.set_defaults(run=run)


def _check_outputs(given) -> None:
    """Refuse, before anything runs, a folder or file that could not be written at the end."""
    out, file = getattr(given, "out", None), given.json
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise OSError(f"--out expects a folder that can be written; {out} cannot be made ({fault.strerror}). "
                          f"Name another.") from fault
    for option, folder in (("--out", out), ("--json", file.resolve().parent if file else None)):
        try:
            if folder is not None:
                tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not tell, of /proc for example
        except OSError as fault:
            raise OSError(f"{option} expects a folder that can be written; {folder} is none ({fault.strerror}). "
                          f"Make it, or name another.") from fault
    if file is not None and file.exists() and not file.is_file():
        raise OSError(f"--json expects the name of a file; {file} is a {'folder' if file.is_dir() else 'device'}. Name "
                      f"another.")


def _write_json(given, result: dict) -> None:
    from isbe_np.report import write_json
    if given.json is not None:
        write_json(given.json, result)
        print(f"Results are in {given.json}")


def _second_process() -> ProcessPoolExecutor:
    """A process to compile in besides this one. It dies of Ctrl-C at once and in silence; this one says what happened."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL))


def _compare(given) -> int:
    from isbe_np.report import comparison_text
    from isbe_np.studies.compare import compare
    nearest("--net", given.net, tuple(NETWORKS))
    for route in given.routes:
        nearest("--routes", route, ROUTES)
    images = dict(zip(("train", "test"), given.images, strict=True))
    data = datasets.load(given.data, given.data_dir, **images)
    with _second_process() as executor:
        found = compare(data, given.net, tuple(given.routes), given.epochs, given.batch_size, given.seed, given.rounds,
                        executor=executor)
    _write_json(given, found.as_dict())
    print(comparison_text(found))
    if given.out is not None:
        from isbe_np import plots
        for name, figure in (("agreement", plots.agreement_figure(found.agreements)),
                             ("cost", plots.cost_figure(found.heads, found.steps)),
                             ("training", plots.training_figure(found.twins))):
            figure.savefig(given.out / f"{name}.png", dpi=150)
            print(f"Figure: {given.out / name}.png")
    if any(twin.history.stopped == "interrupted" for twin in found.twins):
        return INTERRUPTED
    for twin in found.twins:
        if twin.history.diagnosis:
            print(f"isbe compare: by route {twin.route}: {twin.history.diagnosis}", file=sys.stderr)
    return 0 if all(a.within for a in found.agreements) and not any(t.history.stopped for t in found.twins) else 1


def _train(given) -> int:
    recipe = RECIPES[nearest("--net", given.net, tuple(NETWORKS))]
    chosen = {name: getattr(recipe, name) if getattr(given, name) is None else getattr(given, name)
              for name in ("epochs", "batch_size", "learning_rate", "weight_decay", "schedule")}
    nearest("--schedule", chosen["schedule"], tuple(SCHEDULES))
    head = Head(given.normalizer, given.route)
    optimizer = SGD(chosen["learning_rate"], momentum=recipe.momentum, weight_decay=chosen["weight_decay"])
    data = datasets.load(given.data, given.data_dir)
    net = NETWORKS[given.net](seed=given.seed)
    print(f"{given.net} on {data.source}\n{head}, SGD with momentum {recipe.momentum}, "
          + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items()) + f", seed {given.seed}")
    history = train(net, head, data, chosen["epochs"], chosen["batch_size"], optimizer, given.seed, chosen["schedule"],
                    loss=given.loss)
    _write_json(given, {"environment": describe(), "network": given.net, "data": data.source, "head": repr(head),
                        "seed": given.seed, **chosen, "history": history.as_dict()})
    if history.stopped == "diverged":
        print(history.diagnosis, file=sys.stderr)
        return 1
    reached = f"test accuracy {history.accuracy[-1]:.2%}" if history.accuracy else "no epoch finished"
    print(f"{reached}, {history.steps} steps, {sum(history.seconds):.1f} s in training"
          + (", interrupted" if history.stopped else ""))
    return INTERRUPTED if history.stopped else 0


def _explain(given) -> int:
    from isbe_np.explain import explain
    from isbe_np.report import explanation_text
    scores, target, dilation = ([number for part in parts or () for number in part]
                                for parts in (given.scores, given.target, given.dilation))
    label = int(target[0]) if target[0].is_integer() else target[0]
    found = explain(scores, target if len(target) > 1 else label, given.normalizer, given.route, loss=given.loss,
                    dilation=dilation[0] if len(dilation) == 1 else dilation or None, smoothing=given.smoothing,
                    dtype=given.dtype)
    _write_json(given, {"environment": describe(), **found.as_dict()})
    print(explanation_text(found, shutil.get_terminal_size().columns))
    if given.out is not None:
        from isbe_np.plots import explanation_figure
        explanation_figure(found).savefig(given.out / "explain.png", dpi=150)
        print(f"Figure: {given.out / 'explain.png'}")
    return 0


def _study(given) -> int:
    from isbe_np.report import normalizers_text
    from isbe_np.studies.normalizers import normalizers
    nearest("NAME", given.name, ("normalizers",))
    found = normalizers(seed=given.seed)
    _write_json(given, {"environment": describe(), **found.as_dict()})
    print(normalizers_text(found))
    return 0


def _data(given) -> int:
    from isbe_np.report import table
    if given.action == "list":
        if given.name is not None:
            raise ValueError(f"list shows every data set and takes no name; got {given.name!r}. Leave it out.")
        rows = datasets.available(given.data_dir)
        print(table(("name", "what", "where"), [(r.name, r.description, r.found or "not here") for r in rows], left=3))
        _write_json(given, {r.name: {"description": r.description, "found": r.found} for r in rows})
        return 0
    if given.name is None:
        raise ValueError(f"{given.action} expects the name of a data set, one of {', '.join(datasets.NAMES)}; "
                         f"got none.")
    if given.action == "fetch":
        for path in datasets.fetch(given.name, given.data_dir):
            print(path)
    reports = datasets.verify(given.name, given.data_dir)
    print("\n".join(report.sentence for report in reports)
          or f"{given.name} needs no files: it is drawn when asked for.")
    _write_json(given, {str(r.path): {"ok": r.ok, "expected": r.expected, "got": r.got} for r in reports})
    return 0 if all(report.ok for report in reports) else 1


def _warmup(given) -> int:
    from isbe_np.warmup import DTYPES, warm_up
    nearest("--dtype", given.dtype, (*DTYPES, "both"))
    for name in given.nets:
        nearest("--nets", name, tuple(NETWORKS))
    with _second_process() as executor:
        done = warm_up(tuple(given.nets), DTYPES if given.dtype == "both" else (given.dtype,), executor=executor)
    _write_json(given, vars(done))
    print(done.sentence())
    return 0


def _info(given) -> int:
    from isbe_np.report import environment_text
    if given.net is not None:
        return _network_info(given)
    if given.batch is not None:
        raise ValueError(f"--batch is for the memory of a network, and there is no --net; got {given.batch}. Add --net, "
                         f"one of {', '.join(NETWORKS)}.")
    print(environment_text(describe()))
    _write_json(given, describe())
    return 0


def _network_info(given) -> int:
    from isbe_np.report import table
    recipe = RECIPES[nearest("--net", given.net, tuple(NETWORKS))]
    batch = given.batch or recipe.batch_size
    net = NETWORKS[given.net]()
    memory = net.memory(batch)
    bytes_of = {**vars(memory), "total": memory.total}
    print(f"{net.summary()}\n\nMemory of a training step, batch of {batch:,}\n")
    print(table(("part", "what for", "MB"), [(part, PARTS.get(part, ""), f"{count / 1e6:,.2f}")
                                             for part, count in bytes_of.items()], left=2))
    _write_json(given, {"environment": describe(), "network": given.net, "batch_size": batch, "memory": bytes_of})
    return 0
