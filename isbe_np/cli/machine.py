"""The commands about data and the machine: data, warmup, info, cache."""

from __future__ import annotations

from isbe_np import datasets
from isbe_np.checks import nearest
from isbe_np.cli.options import add_json, count, file_path, folder_path, second_process, write_json
from isbe_np.cli.words import say
from isbe_np.compiler.cache import cache_state
from isbe_np.environment import describe
from isbe_np.networks import NETWORKS
from isbe_np.terminal import columns
from isbe_np.training.recipes import RECIPES

# The parts of `Memory`, as `isbe info --net` explains them.
PARTS = {"parameters": "weights and biases, and their gradients",
         "slots": "what SGD with momentum remembers of each of them",
         "values": "of all layers, for the whole batch",
         "errors": "the gradients by those values",
         "work": "what layers keep for themselves: bordered images, argmax indices of pooling"}


def add(commands) -> None:
    """Add these commands to the parser."""
    data = commands.add_parser("data", help="fetch, verify or list data sets")
    data.add_argument("action", choices=["fetch", "verify", "list"])
    data.add_argument("name", nargs="?", help="data set, for fetch and verify")
    data.add_argument("--data-dir", type=folder_path, metavar="DIR", help="folder of the data sets")
    add_json(data, _data)

    warmup = commands.add_parser("warmup", help="compile all kernels now, so that no first step waits for the compiler")
    warmup.add_argument("--nets", nargs="+", default=list(NETWORKS), metavar="NET",
                        help=f"networks, of {', '.join(NETWORKS)} (all)")
    warmup.add_argument("--dtype", default="both", help="float32, float64 or both (%(default)s)")
    add_json(warmup, _warmup)

    info = commands.add_parser("info", help="versions, threads and caches; or a network's layers and memory; or a checkpoint")
    info.add_argument("--net", help=f"the network to tell of instead: {', '.join(NETWORKS)}")
    info.add_argument("--batch", "--batch-size", type=count, metavar="N",
                      help="examples in a batch, which decide the memory (that of the network's recipe)")
    info.add_argument("--checkpoint", type=file_path, metavar="FILE",
                      help="the checkpoint, or folder of a training, to tell of instead")
    add_json(info, _info)

    cache = commands.add_parser("cache", help="what the cache of compiled kernels holds; clear it")
    cache.add_argument("action", choices=["info", "clear"])
    add_json(cache, _cache)


def _data(given) -> int:
    from isbe_np.tables import table
    if given.action == "list":
        if given.name is not None:
            raise ValueError(f"list shows every data set and takes no name; got {given.name!r}. Leave it out.")
        rows = datasets.available(given.data_dir)
        print(table(("name", "what", "where"), [(r.name, r.description, r.found or "not here") for r in rows], left=3,
                    width=columns()))
        write_json(given, {r.name: {"description": r.description, "found": r.found} for r in rows})
        return 0
    if given.name is None:
        raise ValueError(f"{given.action} expects the name of a data set, one of {', '.join(datasets.NAMES)}; "
                         f"got none.")
    if given.action == "fetch":
        for path in datasets.fetch(given.name, given.data_dir):
            print(path)
    reports = datasets.verify(given.name, given.data_dir)
    say("\n".join(report.sentence for report in reports)
        or f"{given.name} needs no files: it is drawn when asked for.")
    write_json(given, {str(r.path): {"ok": r.ok, "expected": r.expected, "got": r.got} for r in reports})
    return 0 if all(report.ok for report in reports) else 1


def _warmup(given) -> int:
    from isbe_np.warmup import DTYPES, warm_up
    nearest("--dtype", given.dtype, (*DTYPES, "both"))
    for name in given.nets:
        nearest("--nets", name, tuple(NETWORKS))
    with second_process() as executor:
        done = warm_up(tuple(given.nets), DTYPES if given.dtype == "both" else (given.dtype,), executor=executor)
    write_json(given, vars(done))
    say(done.sentence())
    return 0


def _info(given) -> int:
    from isbe_np.reports.summary import environment_text
    if given.checkpoint is not None:
        if given.net is not None or given.batch is not None:
            raise ValueError("--checkpoint tells of the network in it and goes with neither --net nor --batch. Leave them out.")
        return _checkpoint_info(given)
    if given.net is not None:
        return _network_info(given)
    if given.batch is not None:
        raise ValueError(f"--batch is for the memory of a network, and there is no --net; got {given.batch}. Add --net, "
                         f"one of {', '.join(NETWORKS)}.")
    print(environment_text(describe(), columns()))
    write_json(given, describe())
    return 0


def _network_info(given) -> int:
    from isbe_np.tables import table
    recipe = RECIPES[nearest("--net", given.net, tuple(NETWORKS))]
    batch = given.batch or recipe.batch_size
    net = NETWORKS[given.net]()
    memory = net.memory(batch)
    bytes_of = {**vars(memory), "total": memory.total}
    print(f"{net.summary()}\n\nMemory of a training step, batch of {batch:,}\n")
    print(table(("part", "what for", "MB"), [(part, PARTS.get(part, ""), f"{count / 1e6:,.2f}")
                                             for part, count in bytes_of.items()], left=2, width=columns()))
    write_json(given, {"environment": describe(), "network": given.net, "batch_size": batch, "memory": bytes_of})
    return 0


def _checkpoint_info(given) -> int:
    from isbe_np.reports.summary import environment_text
    from isbe_np.training import load_checkpoint
    from isbe_np.training.checkpoint import previous_of
    from isbe_np.training.keeping import FILE
    place = given.checkpoint
    if place.is_dir():
        before = previous_of(place / FILE)
        place = before if before.exists() and not (place / FILE).exists() else place / FILE
    found = load_checkpoint(place)
    history = found.history
    told = {"head": repr(found.head), "optimizer": repr(found.optimizer), "note": found.note}
    if history is not None:
        told |= {"epochs": len(history.accuracy), "steps": history.steps}
        told |= {"accuracy": f"{history.accuracy[-1]:.2%}"} if history.accuracy else {}
    print(f"{found.net.summary()}\n\n{environment_text(told, columns())}\n\nSaved with\n"
          f"{environment_text(found.environment, columns())}")
    write_json(given, {**told, "environment": found.environment})
    return 0


def _cache(given) -> int:
    from isbe_np.compiler.contents import clear, kept
    from isbe_np.tables import table
    found = kept() if given.action == "info" else clear()
    kinds = {"this_version": found.this_version, "other_versions": found.other_versions, "half_written": found.half_written}
    if given.action == "info":
        say(f"Compiled kernels: {cache_state()}\n")
        print(table(("", "files", "MB"), [(kind.replace("_", " "), files.files, f"{files.bytes / 1e6:.1f}")
                                          for kind, files in kinds.items()]))
    else:
        say(found.sentence())
    write_json(given, {"folder": found.folder and str(found.folder), **{kind: vars(files) for kind, files in kinds.items()}})
    return 0
