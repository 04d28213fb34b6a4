"""The commands that compute and learn: compare, train, explain, study."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from isbe_np import datasets, executors
from isbe_np.checks import nearest
from isbe_np.cli.options import (
    INTERRUPTED,
    TERMINATED,
    WENT_WRONG,
    add_common,
    add_data,
    add_json,
    count,
    numbers,
    second_process,
    write_json,
)
from isbe_np.environment import describe
from isbe_np.heads import LOSSES, NORMALIZERS, ROUTES, Head
from isbe_np.kernels.threads import threads
from isbe_np.networks import NETWORKS
from isbe_np.training import SCHEDULES, train
from isbe_np.training.keeping import note_of
from isbe_np.training.recipes import RECIPES, augmentation

# What `isbe train` takes unless it is given, and what the network's recipe decides.
DEFAULTS = {"data": "digits", "net": "lenet5", "normalizer": "softmax", "route": "isbe", "seed": 0}
RECIPE = ("epochs", "batch_size", "learning_rate", "weight_decay", "schedule", "augment")
STOPPED = {"interrupted": INTERRUPTED, "terminated": TERMINATED}  # exit codes


def add(commands) -> None:
    """Add these commands to the parser."""
    compare = commands.add_parser("compare", help="do the four routes agree, what does each cost, do two train alike")
    add_data(compare, "digits")
    compare.add_argument("--net", default="lenet5",
                         help=f"network to time and train: {', '.join(NETWORKS)} (%(default)s)")
    compare.add_argument("--routes", nargs=2, default=["isbe", "fused"], metavar="ROUTE",
                         help=f"the two to train by, of {', '.join(ROUTES)} (isbe fused)")
    compare.add_argument("--epochs", type=count, default=2, help="of each training (%(default)s)")
    compare.add_argument("--batch-size", type=count, default=128, help="(%(default)s)")
    compare.add_argument("--images", type=count, nargs=2, default=[10000, 2000], metavar=("TRAIN", "TEST"),
                         help="how many images to train and to test on (10000 2000)")
    compare.add_argument("--rounds", type=count, default=40, help="timed rounds of a training step (%(default)s)")
    compare.add_argument("--out", type=Path, metavar="DIR", help="folder for PNG figures")
    add_common(compare, _compare)

    trainer = commands.add_parser("train", help="train a network; what is not given comes from the network's recipe")
    add_data(trainer, "digits")
    trainer.add_argument("--net", help=f"{', '.join(NETWORKS)} (lenet5)")
    trainer.add_argument("--normalizer", help=f"{', '.join(NORMALIZERS)} (softmax)")
    trainer.add_argument("--route", help=f"{', '.join(ROUTES)} (isbe)")
    trainer.add_argument("--epochs", type=count)
    trainer.add_argument("--batch-size", type=count)
    trainer.add_argument("--learning-rate", type=float, help="the schedule's peak")
    trainer.add_argument("--weight-decay", type=float)
    trainer.add_argument("--schedule", help=", ".join(SCHEDULES))
    trainer.add_argument("--augment", action=argparse.BooleanOptionalAction, help="change the training images in each epoch")
    trainer.add_argument("--loss", action="store_true", help="also compute the loss, which route isbe does not need")
    trainer.add_argument("--seed", type=int, help="of the parameters and the batches (0)")
    trainer.add_argument("--checkpoint", type=Path, metavar="DIR", help="keep a checkpoint in this folder, new or empty")
    trainer.add_argument("--resume", action="store_true", help="go on from the checkpoint in that folder, if there is one, "
                                                               "by its options")
    trainer.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="S",
                         help="of training that a crash may cost at most (%(default)s)")
    trainer.set_defaults(**dict.fromkeys((*DEFAULTS, "loss", "unverified")))
    add_json(trainer, _train)

    explainer = commands.add_parser("explain", help="one example step by step: every number from scores to error")
    explainer._negative_number_matcher = re.compile(r"-(\d|\.\d|inf)")  # "-1,2" is a value too, not an option
    explainer.add_argument("--scores", type=numbers, nargs="+", required=True, metavar="X", help="such as 2,1,0.1")
    explainer.add_argument("--target", type=numbers, nargs="+", required=True, metavar="T",
                           help="the label's number from 0, or a number for each class")
    explainer.add_argument("--normalizer", default="softmax", help=f"{', '.join(NORMALIZERS)} (%(default)s)")
    explainer.add_argument("--route", default="isbe", help=f"{', '.join(ROUTES)} (%(default)s)")
    explainer.add_argument("--loss", help=f"what the first three routes differentiate: {', '.join(LOSSES)} (matching)")
    explainer.add_argument("--dilation", type=numbers, nargs="+", metavar="K", help="of softmax(K x), one or for each class")
    explainer.add_argument("--smoothing", type=float, default=0.0, metavar="E",
                           help="share of the target that is spread over all classes (%(default)s)")
    explainer.add_argument("--dtype", default="float64", help="float32 or float64 (%(default)s)")
    explainer.add_argument("--out", type=Path, metavar="DIR", help="folder for the same as a PNG figure")
    add_json(explainer, _explain)

    study = commands.add_parser("study", help="answer one question by measuring")
    study.add_argument("name", metavar="NAME", help="; ".join(f"{name}: {what}" for name, (what, *_) in STUDIES.items()))
    add_data(study, None)
    study.add_argument("--nets", nargs="+", metavar="NET", help=f"networks, of {', '.join(NETWORKS)} (the study's own)")
    study.add_argument("--normalizers", nargs="+", metavar="NAME", help="of those of the study (all)")
    study.add_argument("--batches", nargs="+", type=count, metavar="N", help="batch sizes (the study's own)")
    study.add_argument("--images", nargs="+", type=count, metavar="N", help="how many to train on, besides all (2000 10000)")
    study.add_argument("--seeds", type=count, metavar="N", help="how many seeds, from --seed on (3)")
    study.add_argument("--epochs", type=count, help="of each training (the network's recipe)")
    study.add_argument("--folder", type=Path, metavar="DIR", help="where cells are stored at once, and found when it goes on")
    study.add_argument("--workers", type=count, default=1, metavar="N", help="processes side by side (%(default)s)")
    study.add_argument("--dask", metavar="ADDRESS", help="a Dask cluster instead, such as tcp://10.0.0.5:8786")
    study.add_argument("--threads", type=count, metavar="N", help="of each process, for kernels (1; timing: all cores)")
    study.add_argument("--out", type=Path, metavar="DIR", help="folder for a PNG figure")
    add_common(study, _study)


def _compare(given) -> int:
    from isbe_np.report import comparison_text
    from isbe_np.studies.compare import compare
    nearest("--net", given.net, tuple(NETWORKS))
    for route in given.routes:
        nearest("--routes", route, ROUTES)
    images = dict(zip(("train", "test"), given.images, strict=True))
    data = datasets.load(given.data, given.data_dir, verify=not given.unverified, **images)
    with second_process() as executor:
        found = compare(data, given.net, tuple(given.routes), given.epochs, given.batch_size, given.seed, given.rounds,
                        executor=executor)
    write_json(given, found.as_dict())
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
        if told := twin.history.diagnosis or twin.history.warning:
            print(f"isbe compare: by route {twin.route}: {told}", file=sys.stderr)
    return 0 if all(a.within for a in found.agreements) and not any(t.history.stopped for t in found.twins) else 1


def _train(given) -> int:
    before = note_of(given.checkpoint) if given.resume and given.checkpoint is not None else None
    chosen = _chosen(given, before if isinstance(before, dict) else {})
    name, seed = chosen["net"], chosen["seed"]
    recipe = RECIPES[nearest("--net", name, tuple(NETWORKS))]
    how = {option: getattr(recipe, option) if chosen[option] is None else chosen[option] for option in RECIPE}
    nearest("--schedule", how["schedule"], tuple(SCHEDULES))
    head = Head(chosen["normalizer"], chosen["route"])
    optimizer = recipe.optimizer(how["learning_rate"], how["weight_decay"])
    data = datasets.load(chosen["data"], given.data_dir, verify=not chosen["unverified"])
    net = NETWORKS[name](seed=seed, image=data.x_train.shape[1:])
    print(f"{name} on {data.source}\n{head}, {optimizer}, "
          + ", ".join(f"{option.replace('_', ' ')} {value}" for option, value in how.items()) + f", seed {seed}")
    history = train(net, head, data, how["epochs"], how["batch_size"], optimizer, seed, how["schedule"],
                    loss=bool(chosen["loss"]), augment=augmentation(chosen["data"]) if how["augment"] else None,
                    checkpoint=given.checkpoint, resume=given.resume, checkpoint_seconds=given.checkpoint_seconds,
                    note=chosen | how)
    write_json(given, {"environment": describe(), "network": name, "data": data.source, "head": repr(head), "seed": seed, **how,
                       "history": history.as_dict()})
    if history.stopped == "diverged":
        print(history.diagnosis, file=sys.stderr)
        return WENT_WRONG
    if history.warning:
        print(history.warning, file=sys.stderr)
    reached = f"test accuracy {history.accuracy[-1]:.2%}" if history.accuracy else "no epoch finished"
    told = f"{reached}, {history.steps} steps, {sum(history.seconds):.1f} s in training"
    print((told if history.steps else "no step was made") + (f", {history.stopped}" if history.stopped else ""))
    if history.stopped and given.checkpoint is not None:
        print(f"Go on with: isbe train --checkpoint {given.checkpoint} --resume")
    return STOPPED[history.stopped] if history.stopped else WENT_WRONG if history.unsaved else 0


def _chosen(given, before: dict) -> dict:
    """Each option as it was given, or else as `before`, or else its default; None where the recipe decides."""
    found = {}
    for option in (*DEFAULTS, *RECIPE, "loss", "unverified"):
        value = getattr(given, option)
        found[option] = before.get(option, DEFAULTS.get(option)) if value is None else value
    return found


def _explain(given) -> int:
    from isbe_np.explain import explain
    from isbe_np.report import explanation_text
    scores, target, dilation = ([number for part in parts or () for number in part]
                                for parts in (given.scores, given.target, given.dilation))
    label = int(target[0]) if target[0].is_integer() else target[0]
    found = explain(scores, target if len(target) > 1 else label, given.normalizer, given.route, loss=given.loss,
                    dilation=dilation[0] if len(dilation) == 1 else dilation or None, smoothing=given.smoothing,
                    dtype=given.dtype)
    write_json(given, {"environment": describe(), **found.as_dict()})
    print(explanation_text(found, shutil.get_terminal_size().columns))
    if given.out is not None:
        from isbe_np.plots import explanation_figure
        explanation_figure(found).savefig(given.out / "explain.png", dpi=150)
        print(f"Figure: {given.out / 'explain.png'}")
    return 0


def _normalizers(given):
    from isbe_np.report import normalizers_text
    from isbe_np.studies.normalizers import normalizers
    found = normalizers(seed=given.seed)
    return found, normalizers_text(found)


def _accuracy(given):
    from isbe_np.studies.accuracy import RIVAL, accuracy
    nets = tuple(given.nets or ("n1",))
    for net in nets:
        nearest("--nets", net, tuple(NETWORKS))
    found = accuracy(given.data or "digits", nets, normalizers=tuple(given.normalizers or RIVAL),
                     verify=not given.unverified, threads=given.threads or 1, **_trainings(given), **_cells(given))
    return found, found.text()


def _timing(given):
    from isbe_np.studies.timing import BATCHES, NETS, timing
    found = timing(given.nets or NETS, given.batches or BATCHES, seed=given.seed, threads=given.threads or threads(),
                   **_cells(given))
    return found, found.text()


def _data(given):
    from isbe_np.studies.data import data
    found = data(given.data and [given.data], images=given.images and (*given.images, None), verify=not given.unverified,
                 threads=given.threads or 1, **_trainings(given), **_cells(given))
    return found, found.text()


def _scaling(given):
    from isbe_np.studies.scaling import scaling
    found = scaling(seed=given.seed, threads=given.threads or 1, **_cells(given))
    return found, found.text()


def _reductions(given):
    from isbe_np.studies.reductions import reductions
    found = reductions(given.data or "digits", **_trainings(given), **_cells(given))
    return found, found.text()


def _failures(given):
    from isbe_np.studies.failures import failures
    found = failures(given.data or "digits", **_trainings(given), **_cells(given))
    return found, found.text()


def _trainings(given) -> dict:
    """Which trainings a study makes; epochs only where they are given."""
    chosen = {"seeds": range(given.seed, given.seed + (given.seeds or 3)), "data_dir": given.data_dir and str(given.data_dir)}
    return chosen | ({} if given.epochs is None else {"epochs": given.epochs})


def _cells(given) -> dict:
    """Where a study's cells are stored and where they run."""
    return {"folder": given.folder, "executor": executors.dask(given.dask) if given.dask else executors.local(given.workers)}


# By name: what is asked, what answers it with a result and its text, and the options it takes besides those of all.
SWEPT = ("folder", "dask")
STUDIES = {"normalizers": ("which of them, with which loss, suit ISBE", _normalizers, ()),
           "accuracy": ("does ISBE reach what the loss's gradient reaches, paired by seed", _accuracy,
                        ("data", "data_dir", "unverified", "nets", "normalizers", "seeds", "epochs", "threads", *SWEPT)),
           "timing": ("what share of forward, backward and step ISBE saves, by network and batch size", _timing,
                      ("nets", "batches", "threads", *SWEPT)),
           "scaling": ("the head's time and memory as classes grow, by route", _scaling, ("threads", *SWEPT)),
           "reductions": ("mean and sum, at one learning rate and at one effective step", _reductions,
                          ("data", "data_dir", "seeds", "epochs", *SWEPT)),
           "failures": ("trainings made to fail, and what the diagnosis says", _failures,
                        ("data", "data_dir", "seeds", "epochs", *SWEPT)),
           "data": ("do agreement, accuracy and saving hold as data grows", _data,
                    ("data", "data_dir", "unverified", "images", "seeds", "epochs", "threads", *SWEPT))}
CHOICES = sorted({option for _, _, options in STUDIES.values() for option in options})


def _study(given) -> int:
    _, answer, options = STUDIES[nearest("NAME", given.name, tuple(STUDIES))]
    for option in CHOICES:
        if option not in options and getattr(given, option) not in (None, False):
            raise ValueError(f"isbe study {given.name} takes no --{option.replace('_', '-')}. Leave it out.")
    found, text = answer(given)
    write_json(given, {"environment": describe(paths=False), **found.as_dict()})
    print(text)
    if given.out is not None:
        from isbe_np import plots
        draw = getattr(plots, f"{given.name}_figure", None)
        if draw is None:
            print(f"There is no figure of {given.name}.")
        else:
            draw(found).savefig(given.out / f"{given.name}.png", dpi=150)
            print(f"Figure: {given.out / given.name}.png")
    return WENT_WRONG if getattr(found, "failed", None) else 0
