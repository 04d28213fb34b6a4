"""The commands that compute and measure: compare, explain, study."""

from __future__ import annotations

import re

from isbe_np import executors
from isbe_np.checks import nearest
from isbe_np.cli.options import (
    DONE,
    INTERRUPTED,
    WENT_WRONG,
    add_common,
    add_data,
    add_json,
    add_kernels,
    count,
    folder_path,
    load_data,
    numbers,
    second_process,
    write_json,
)
from isbe_np.cli.words import complain
from isbe_np.compiler.threads import threads
from isbe_np.environment import describe
from isbe_np.heads import LOSSES, NORMALIZERS, ROUTES
from isbe_np.networks import NETWORKS
from isbe_np.storage.files import write_figure
from isbe_np.switch import KERNELS
from isbe_np.terminal import columns
from isbe_np.training.progress import Stages


def add(commands) -> None:
    """Add these commands to the parser."""
    compare = commands.add_parser("compare", help="do the four routes agree, what does each cost, do two train alike; and "
                                                   "the same of plain and fast kernels")
    add_data(compare, "digits")
    compare.add_argument("--net", default="lenet5",
                         help=f"network to time and train: {', '.join(NETWORKS)} (%(default)s)")
    compare.add_argument("--routes", nargs=2, default=["isbe", "fused"], metavar="ROUTE",
                         help=f"the two to train by, of {', '.join(ROUTES)} (isbe fused)")
    add_kernels(compare, "fast")
    compare.add_argument("--epochs", type=count, default=2, help="of each training (%(default)s)")
    compare.add_argument("--batch-size", type=count, default=128, help="of each training and timed step (%(default)s)")
    compare.add_argument("--images", type=count, nargs=2, default=[10000, 2000], metavar=("TRAIN", "TEST"),
                         help="how many images to train and to test on (10000 2000)")
    compare.add_argument("--rounds", type=count, default=40, help="timed rounds of a training step (%(default)s)")
    compare.add_argument("--out", type=folder_path, metavar="DIR", help="folder for PNG figures")
    add_common(compare, _compare)

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
    explainer.add_argument("--out", type=folder_path, metavar="DIR", help="folder for the same as a PNG figure")
    add_json(explainer, _explain)

    study = commands.add_parser("study", help="answer one question by measuring")
    study.add_argument("name", metavar="NAME", help="\n".join(f"{name}: {what}" for name, (what, *_) in STUDIES.items()))
    add_data(study, None)
    study.add_argument("--nets", nargs="+", metavar="NET", help=f"networks, of {', '.join(NETWORKS)} (the study's own)")
    study.add_argument("--normalizers", nargs="+", metavar="NAME", help="of those of the study (all)")
    study.add_argument("--batches", nargs="+", type=count, metavar="N", help="batch sizes (the study's own)")
    study.add_argument("--images", nargs="+", type=count, metavar="N", help="how many to train on, besides all (2000 10000)")
    study.add_argument("--seeds", type=count, metavar="N", help="how many seeds, from --seed on (3)")
    study.add_argument("--epochs", type=count, help="of each training (the network's recipe)")
    study.add_argument("--folder", type=folder_path, metavar="DIR",
                       help="where cells are stored at once, and found when it goes on")
    study.add_argument("--workers", type=count, default=1, metavar="N", help="processes side by side (%(default)s)")
    study.add_argument("--dask", metavar="ADDRESS", help="a Dask cluster instead, such as tcp://10.0.0.5:8786")
    study.add_argument("--threads", type=count, metavar="N", help="of each process, for kernels (1; timing: all cores)")
    study.add_argument("--out", type=folder_path, metavar="DIR", help="folder for a PNG figure")
    add_common(study, _study)


def _compare(given) -> int:
    from isbe_np.reports.summary import comparison_text
    from isbe_np.studies.compare import compare
    nearest("--net", given.net, tuple(NETWORKS))
    nearest("--kernels", given.kernels, KERNELS)
    for route in given.routes:
        nearest("--routes", route, ROUTES)
    images = dict(zip(("train", "test"), given.images, strict=True))
    data = load_data(given, given.data, verify=not given.unverified, **images)
    with second_process() as executor:
        found = compare(data, given.net, tuple(given.routes), given.epochs, given.batch_size, given.seed, given.rounds,
                        executor=executor, kernels=given.kernels)
    write_json(given, found.as_dict())
    print(comparison_text(found, columns()))
    if given.out is not None:
        from isbe_np import plots
        for name, figure in (("agreement", plots.agreement_figure(found.agreements)),
                             ("cost", plots.cost_figure(found.heads, found.steps)),
                             ("training", plots.training_figure(found.twins))):
            write_figure(given.out / f"{name}.png", figure)
            print(f"Figure: {given.out / name}.png")
    if any(twin.history.stopped == "interrupted" for twin in found.twins):
        return INTERRUPTED
    for twin in found.twins:
        if told := twin.history.diagnosis or twin.history.warning:
            complain(f"isbe compare: by route {twin.route}: {told}")
    agree = all(a.within for a in found.agreements) and all(a.within for a in found.switched.agreements)
    return DONE if agree and not any(t.history.stopped for t in found.twins) else WENT_WRONG


def _explain(given) -> int:
    from isbe_np.explain import explain
    from isbe_np.reports.summary import explanation_text
    scores, target, dilation = ([number for part in parts or () for number in part]
                                for parts in (given.scores, given.target, given.dilation))
    label = int(target[0]) if target[0].is_integer() else target[0]
    found = explain(scores, target if len(target) > 1 else label, given.normalizer, given.route, loss=given.loss,
                    dilation=dilation[0] if len(dilation) == 1 else dilation or None, smoothing=given.smoothing,
                    dtype=given.dtype)
    write_json(given, {"environment": describe(), **found.as_dict()})
    print(explanation_text(found, columns(200)))
    if given.out is not None:
        from isbe_np.plots import explanation_figure
        write_figure(given.out / "explain.png", explanation_figure(found))
        print(f"Figure: {given.out / 'explain.png'}")
    return 0


def _normalizers(given):
    from isbe_np.reports.summary import normalizers_text
    from isbe_np.studies.normalizers import normalizers
    with Stages("isbe study") as stages:
        stages.begin("measuring every normalizer with every loss")
        found = normalizers(seed=given.seed)
    return found, normalizers_text(found, columns())


def _accuracy(given):
    from isbe_np.studies.accuracy import RIVAL, accuracy
    nets = tuple(given.nets or ("n1",))
    for net in nets:
        nearest("--nets", net, tuple(NETWORKS))
    found = accuracy(given.data or "digits", nets, normalizers=tuple(given.normalizers or RIVAL),
                     verify=not given.unverified, threads=given.threads or 1, **_trainings(given), **_cells(given))
    return found, found.text(columns())


def _timing(given):
    from isbe_np.reports.timing import timing_text
    from isbe_np.studies.timing import BATCHES, NETS, timing
    found = timing(given.nets or NETS, given.batches or BATCHES, seed=given.seed, threads=given.threads or threads(),
                   **_cells(given))
    return found, timing_text(found, columns())


def _data(given):
    from isbe_np.studies.data import data
    found = data(given.data and [given.data], images=given.images and (*given.images, None), verify=not given.unverified,
                 threads=given.threads or 1, **_trainings(given), **_cells(given))
    return found, found.text(columns())


def _scaling(given):
    from isbe_np.studies.scaling import scaling
    found = scaling(seed=given.seed, threads=given.threads or 1, **_cells(given))
    return found, found.text(columns())


def _reductions(given):
    from isbe_np.studies.reductions import reductions
    found = reductions(given.data or "digits", **_trainings(given), **_cells(given))
    return found, found.text(columns())


def _failures(given):
    from isbe_np.studies.failures import failures
    found = failures(given.data or "digits", **_trainings(given), **_cells(given))
    return found, found.text(columns())


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
            write_figure(given.out / f"{given.name}.png", draw(found))
            print(f"Figure: {given.out / given.name}.png")
    return WENT_WRONG if getattr(found, "failed", None) else 0
