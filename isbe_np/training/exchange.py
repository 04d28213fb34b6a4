"""Weights taken along to other frameworks and back, in safetensors files, by the names that PyTorch has for them.

A network's ``conv2d_1.weight`` and ``.bias`` are called so there too, in the same layout; batch norm's and layer norm's γ and
β are ``weight`` and ``bias``, running statistics ``running_mean`` and ``running_var``. A torch.nn.Module whose parts are called
as the layers are takes such a file by ``load_state_dict(safetensors.torch.load_file(path))``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from isbe_np.graph import Graph
from isbe_np.graph_nodes import wanted_arrays
from isbe_np.layers.normalization import Normalization
from isbe_np.storage.files import DamagedFile, one_line, opened, replacing
from isbe_np.storage.folders import user_path

NORMS = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
DTYPES = {"float32": "F32", "float64": "F64"}
COUNTS = "num_batches_tracked"  # which PyTorch keeps for each batch norm, and nobody here needs
REMEDY = "Get another copy of it, or pass names= where only the layers' names differ."


def save_safetensors(path: str | os.PathLike, net: Graph, names: Mapping[str, str] | None = None) -> None:
    """Write the parameters and running statistics of `net` to the safetensors file `path`, whole or not at all.

    With `names`, layers have other names in the file, theirs by ours: ``{"conv2d_1": "features.0"}``. ImportError without the
    library; OSError where the file cannot be written; ValueError for a name of no layer.
    """
    _library()
    from safetensors.numpy import save
    path = user_path("save_safetensors(path)", path)
    data = save({name: np.ascontiguousarray(array) for name, array in _arrays(net, names).items()})
    with replacing(path) as file:
        file.write(data)


def load_safetensors(path: str | os.PathLike, net: Graph, names: Mapping[str, str] | None = None) -> None:
    """Put what the safetensors file `path` holds into the parameters and running statistics of `net`.

    `names` are as in `save_safetensors`. ValueError unless the file holds exactly these arrays, of these shapes and of the
    network's dtype; then nothing is changed. OSError where it cannot be read, ImportError without the library.
    """
    path = user_path("load_safetensors(path)", path)
    library, wanted = _library(), _arrays(net, names)
    try:
        # The library would wait for a pipe, and names no file in its errors.
        with opened(path, REMEDY), library.safe_open(os.fspath(path), framework="np") as file:
            found = {name for name in file.keys() if name.rpartition(".")[2] != COUNTS}
            lacks, odd = sorted(wanted.keys() - found), sorted(found - wanted.keys())
            if lacks or odd:
                raise DamagedFile(path, "names", f"those of the network, {', '.join(list(wanted)[:3])} ...",
                                  f"without {', '.join(lacks[:3])}" if lacks else f"also {', '.join(odd[:3])}", REMEDY)
            for name, array in wanted.items():
                part = file.get_slice(name)
                came, right = (tuple(part.get_shape()), part.get_dtype()), (array.shape, DTYPES[net.dtype.name])
                if came != right:
                    raise DamagedFile(path, name, f"shape {right[0]} of {right[1]}", f"{came[0]} of {came[1]}", REMEDY)
            arrays = {name: file.get_tensor(name) for name in wanted}
    except library.SafetensorError as fault:
        raise DamagedFile(path, "format", "a safetensors file", str(fault), REMEDY) from None
    with net.exclusive():
        for name, array in wanted.items():
            array[...] = arrays[name]


def _arrays(net: Graph, names: Mapping[str, str] | None) -> dict[str, np.ndarray]:
    """The network's own arrays, by their names in a file."""
    own = {"weights": {parameter.name: parameter.value for parameter in net.parameters()}, "state": net.state()}
    renamed, found, layers, twice = dict(names or {}), {}, set(), []
    for kind, arrays in own.items():
        for (layer, part), (name, _) in wanted_arrays(net.nodes, net.names, kind).items():
            place = name.removesuffix(f".{part}")
            there = f"{renamed.get(place, place)}.{NORMS[part] if isinstance(layer, Normalization) else part}"
            twice += [there] if there in found else []
            found[there] = arrays[name]
            layers.add(place)
    if not renamed.keys() <= layers or (twice and renamed):
        raise ValueError(one_line(f"names expects other names, each once, for layers with parameters, "
                                  f"{', '.join(sorted(layers))}; got {renamed}."))
    if twice:
        raise ValueError(one_line(f"A safetensors file holds one array of a name; the network has two called {twice[0]}. Give "
                                  f"one of the layers, or its part, another name."))
    return found


def _library() -> Any:
    try:
        import safetensors
    except ImportError as fault:
        raise ImportError('Exchanging weights needs safetensors. Run `pip install "isbe_np[safetensors]"`.') from fault
    return safetensors
