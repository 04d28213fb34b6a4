"""The process of a submission: raise the walls, read the submission, answer the grader's calls.

Started by `sandbox.py` as a script of its own, without isbe_np, so that the package, which holds every answer, is out of reach.
Its first line of input is JSON: the source, the function, what may be imported, the limits. Then calls come as frames, and
answers go out as frames: W the walls that stand, R ready, A arrays, E an error's text.
"""

import importlib
import json
import os
import sys
import traceback
import types

LONGEST = 6000  # characters of an error's text


def main() -> None:
    """Serve one submission until the input ends."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # what the submission prints must not mix with its answers
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = Printed(sys.stdout), Printed(sys.stderr)
    given = json.loads(calls.readline())
    try:  # where memory runs out, this process goes first
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass
    sys.path[:] = given["path"]
    sys.dont_write_bytecode = True
    protocol, sandbox_limits = (importlib.import_module(name) for name in ("protocol", "sandbox_limits"))
    sys.path.remove(given["here"])
    for name in ("protocol", "sandbox_limits", "calls"):
        del sys.modules[name]
    _ready_libraries(given["modules"])
    sys.meta_path.insert(0, Refusal({*given["packages"], *sys.stdlib_module_names}))
    stand = sandbox_limits.raise_walls(given["limits"], given["readable"], given["listable"], given["shut_in"],
                              lambda: _start_threads(given["modules"]))
    answers.write(protocol.frame(b"W", json.dumps(stand).encode()))
    try:
        function = _load(given["source"], given["file"], given["function"])
    except BaseException as fault:
        answers.write(protocol.frame(b"E", _told(fault, given["file"])))
        return
    answers.write(protocol.frame(b"R", b""))
    while len(head := calls.read(protocol.HEAD.size)) == protocol.HEAD.size:
        arguments = protocol.unpack_arguments(calls.read(protocol.HEAD.unpack(head)[1]))
        try:
            body = protocol.frame(b"A", protocol.pack_result(function(*arguments)))
        except protocol.NotNumbers as fault:
            body = protocol.frame(b"E", str(fault)[:LONGEST].encode("utf-8", "replace"))
        except BaseException as fault:
            body = protocol.frame(b"E", _told(fault, given["file"]))
        answers.write(body)


class Printed:
    """A stream of prints that loses, rather than fails on, what passes the limit of the file behind it."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """Write as much as the file takes."""
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)


class Refusal:
    """An import hook that says which packages cannot be imported here; without it their own errors would be obscure."""

    def __init__(self, allowed):
        self.allowed = allowed

    def find_spec(self, name, path=None, target=None):
        """None, which leaves the search to others, or an ImportError for a package that is not allowed."""
        if name.partition(".")[0] not in self.allowed and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"{name} cannot be imported in an assignment; Python's own modules and the ones that the "
                                      "handout names can.", name=name)


def _ready_libraries(modules) -> None:
    """Import what the submission may use and what must be read, or started, before the walls stand."""
    for name in modules:
        importlib.import_module(name)
    if "numba" in modules:
        from numba.core import dispatcher, entrypoints
        entrypoints.init_all()
        setattr(dispatcher.Dispatcher, "enable_caching", lambda self: None)  # noqa: B010  cache=True has nowhere to write


def _start_threads(modules) -> None:
    """Start Numba's threading layer; see `sandbox_limits.raise_walls` for when."""
    if "numba" in modules:
        import warnings

        import numba
        with warnings.catch_warnings():  # Numba would lock other processes out by a file, and says that it cannot
            warnings.simplefilter("ignore")
            numba.set_num_threads(1)


def _load(source: str, file: str, name: str):
    """Run the submission's source as a module, and return its function `name`."""
    import linecache
    module = types.ModuleType(file.removesuffix(".py"))
    module.__file__ = file
    sys.modules[module.__name__] = module
    linecache.cache[file] = (len(source), None, [f"{line}\n" for line in source.split("\n")], file)  # a form feed ends no line
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    if not hasattr(module, name):
        raise AttributeError(f"{file} has no function {name}. Was it renamed or removed?")
    return getattr(module, name)


def _told(fault: BaseException, file: str) -> bytes:
    """The error with the submission's own lines of its traceback."""
    try:
        lines = [f"line {line.lineno}, in {line.name}: {line.line}" for line in traceback.extract_tb(fault.__traceback__)
                 if line.filename == file]
        if isinstance(fault, SyntaxError) and str(fault).startswith(("invalid character", "invalid non-printable")):
            lines.append("A word processor or a web page writes such characters. Type the one of your keyboard, in an editor.")
        text = "\n".join([f"{type(fault).__name__}: {fault}", *lines[-4:]])
    except BaseException:
        text = "an error that cannot be told"
    return text[:LONGEST].encode("utf-8", "replace")


if __name__ == "__main__":
    main()
