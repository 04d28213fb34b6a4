"""The command that trains: train, which also goes on with a training that was stopped."""

from __future__ import annotations

import argparse
import shlex

from isbe_np.checks import nearest
from isbe_np.cli.options import (
    INTERRUPTED,
    TERMINATED,
    WENT_WRONG,
    add_data,
    add_json,
    add_kernels,
    count,
    folder_path,
    load_data,
    write_json,
)
from isbe_np.cli.words import complain, say
from isbe_np.environment import describe
from isbe_np.heads import NORMALIZERS, ROUTES, Head
from isbe_np.networks import NETWORKS
from isbe_np.storage.files import Misfit, one_line
from isbe_np.switch import KERNELS
from isbe_np.training import SCHEDULES, train
from isbe_np.training.keeping import Folder, newest
from isbe_np.training.recipes import RECIPES, augmentation

# What `isbe train` takes unless it is given, and what the network's recipe decides.
DEFAULTS = {"data": "digits", "net": "lenet5", "normalizer": "softmax", "route": "isbe", "kernels": "fast", "seed": 0}
FLAGS = ("loss", "drop_last", "unverified")
FREE = ("kernels",)  # what may be another when a training goes on: it changes rounding alone
RECIPE = ("epochs", "batch_size", "learning_rate", "weight_decay", "schedule", "augment")
STOPPED = {"interrupted": INTERRUPTED, "terminated": TERMINATED}  # exit codes


def add(commands) -> None:
    """Add this command to the parser."""
    trainer = commands.add_parser("train", help="train a network; what is not given comes from the network's recipe")
    add_data(trainer, "digits")
    trainer.add_argument("--net", help=f"{', '.join(NETWORKS)} (lenet5)")
    trainer.add_argument("--normalizer", help=f"{', '.join(NORMALIZERS)} (softmax)")
    trainer.add_argument("--route", help=f"{', '.join(ROUTES)} (isbe)")
    add_kernels(trainer, None)
    trainer.add_argument("--epochs", type=count, help="passes over the training images (the recipe's)")
    trainer.add_argument("--batch-size", type=count, help="images in a step (the recipe's)")
    trainer.add_argument("--learning-rate", type=float, help="the schedule's peak (the recipe's)")
    trainer.add_argument("--weight-decay", type=float, help="share of the weights that a step takes away (the recipe's)")
    trainer.add_argument("--schedule", help=f"{', '.join(SCHEDULES)} (the recipe's)")
    trainer.add_argument("--augment", action=argparse.BooleanOptionalAction, help="change the training images in each epoch")
    trainer.add_argument("--drop-last", action="store_true", help="leave out an epoch's last batch if it is smaller")
    trainer.add_argument("--loss", action="store_true", help="also compute the loss, which route isbe does not need")
    trainer.add_argument("--seed", type=int, help="of the parameters and the batches (0)")
    trainer.add_argument("--checkpoint", type=folder_path, metavar="DIR", help="keep a checkpoint in this folder, new or empty")
    trainer.add_argument("--resume", action="store_true", help="go on from the checkpoint in that folder, if there is one, "
                                                               "by its options")
    trainer.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="S",
                         help="seconds of training that a crash may cost at most (%(default)s)")
    trainer.set_defaults(**dict.fromkeys((*DEFAULTS, *FLAGS)))
    add_json(trainer, _train)


def _train(given) -> int:
    before = newest(given.checkpoint) if given.resume and given.checkpoint is not None else None
    note = before.note if before is not None else None
    chosen = _chosen(given, note if isinstance(note, dict) else {})
    _refuse_changes(given, note if isinstance(note, dict) else {}, chosen["schedule"])
    name, seed = chosen["net"], chosen["seed"]
    recipe = RECIPES[nearest("--net", name, tuple(NETWORKS))]
    how = {option: getattr(recipe, option) if chosen[option] is None else chosen[option] for option in RECIPE}
    nearest("--schedule", how["schedule"], tuple(SCHEDULES)), nearest("--kernels", chosen["kernels"], KERNELS)
    head = Head(chosen["normalizer"], chosen["route"], kernels=chosen["kernels"])
    optimizer = recipe.optimizer(how["learning_rate"], how["weight_decay"])
    data = load_data(given, chosen["data"], verify=not chosen["unverified"])
    net = NETWORKS[name](seed=seed, image=data.x_train.shape[1:], kernels=chosen["kernels"])
    say(f"{name} on {data.source}\n{head}, {optimizer}, "
        + one_line(", ".join(f"{option.replace('_', ' ')} {value}" for option, value in how.items())
                   + f", seed {seed}, {net.kernels} kernels"))
    if before is not None and before.training is not None:
        print(f"going on at epoch {before.training['epoch'] + 1}, batch {before.training['batch'] + 1}")
    history = train(net, head, data, how["epochs"], how["batch_size"], optimizer, seed, how["schedule"],
                    loss=bool(chosen["loss"]), augment=augmentation(chosen["data"]) if how["augment"] else None,
                    checkpoint=given.checkpoint, resume=given.resume, checkpoint_seconds=given.checkpoint_seconds,
                    note=chosen | how, drop_last=bool(chosen["drop_last"]), on_interrupt="return")
    write_json(given, {"environment": describe(), "network": name, "data": data.source, "head": repr(head), "seed": seed,
                       "kernels": net.kernels, **how, "history": history.as_dict()})
    if history.stopped == "diverged":
        complain(history.diagnosis or "")
        return WENT_WRONG
    if history.warning:
        complain(history.warning)
    reached = f"test accuracy {history.accuracy[-1]:.2%}" if history.accuracy else "no epoch finished"
    told = f"{reached}, {history.steps} steps, {sum(history.seconds):.1f} s in training"
    print((told if history.steps else "no step was made") + (f", {history.stopped}" if history.stopped else ""))
    if history.stopped and given.checkpoint is not None and Folder(given.checkpoint).holds_one():
        again = ["isbe", "train", "--checkpoint", str(given.checkpoint), "--resume"]
        again += [] if given.data_dir is None else ["--data-dir", str(given.data_dir)]
        print(f"Go on with: {shlex.join(again)}")
    return STOPPED[history.stopped] if history.stopped else WENT_WRONG if history.unsaved else 0


def _refuse_changes(given, before: dict, schedule: str | None) -> None:
    """Misfit for an option that is not as in the training to go on with; more epochs at a constant rate are."""
    for option in (*DEFAULTS, *RECIPE, "loss", "drop_last"):
        value, flag = getattr(given, option), f"--{option.replace('_', '-')}"
        free = option in FREE or (option, schedule) == ("epochs", "constant")
        if free or option not in before or value in (None, before[option]):
            continue
        there = "not given" if before[option] is None else before[option]
        raise Misfit(f"--resume expects the options of the training in {given.checkpoint}, {flag} {there}; got {value}. Leave "
                     f"{flag} out, or name another folder by --checkpoint.")


def _chosen(given, before: dict) -> dict:
    """Each option as it was given, or else as `before`, or else its default; None where the recipe decides."""
    found = {}
    for option in (*DEFAULTS, *RECIPE, *FLAGS):
        value = getattr(given, option)
        found[option] = before.get(option, DEFAULTS.get(option)) if value is None else value
    return found
