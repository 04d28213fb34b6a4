"""A submission's process, seen from the grader: start it behind its walls, ask, wait no longer than allowed, kill.

The grader never imports a submission. What it reads from the process are frames (see `protocol.py`), their lengths judged
before they are read. What the submission prints goes to a file of limited size. A process that ends, hangs or answers
nonsense is a `Stopped` with a sentence, and the next one starts fresh.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from isbe_np.classroom import protocol, readable_paths

HERE = Path(__file__).parent
WALLS = {"limits": "limits of memory, processor time and file size", "user": "a user without rights", "network": "no network",
         "files": "no writing, and reading of Python's own files alone",
         "calls": "no other processes, sockets or shared memory"}
FULL = ("limits", "network", "files", "calls")  # the user is a second lock on the same doors
TOLD = 65536  # bytes of a frame that is no arrays


@dataclass(frozen=True)
class Limits:
    """What one task's process may use: seconds to start, for the first call (which may compile), for each later call, and
    of processor time altogether; bytes of memory (address space, with the compiler), of a reply, and of what is printed."""

    start: float = 20.0
    first: float = 30.0
    call: float = 10.0
    processor: int = 120
    memory: int = 2 * 2**30
    reply: int = 4 * 2**20
    printed: int = 65536


class Stopped(Exception):
    """The process can answer no more; `kind` names why in two or three words, the message in a sentence. `printed` is what it
    printed, where it did not even start."""

    def __init__(self, kind: str, sentence: str):
        super().__init__(sentence)
        self.kind, self.printed = kind, ""


class Failed(Exception):
    """The submission raised an error, which the message tells; the process goes on."""


class Sandbox:
    """One process that holds one submission; a context manager, which kills it.

    `source` is the text of the submission, `function` what is to be called, `modules` what may be imported.
    """

    def __init__(self, source: str, function: str, modules: tuple[str, ...] = ("numpy",), limits: Limits | None = None,
                 file: str = "submission.py"):
        self.limits = limits or Limits()
        if os.name != "posix":
            raise RuntimeError("A submission is run in a process of its own behind walls that need Linux or macOS; this is "
                               f"{sys.platform}. Grade there, or in WSL; to try your own file, run its tests with pytest.")
        self.folder = tempfile.mkdtemp(prefix="isbe_")
        os.chmod(self.folder, 0o755)
        self.printed_to = open(os.path.join(self.folder, "printed"), "w+b")
        given = {"source": source, "function": function, "file": file, "modules": list(modules),
                 "packages": readable_paths.packages(modules), "here": str(HERE),
                 "path": [str(HERE), *readable_paths.search_path()], "readable": readable_paths.readable(modules),
                 "listable": readable_paths.sites(), "shut_in": readable_paths.shut_in(),
                 "limits": {"AS": self.limits.memory, "CPU": self.limits.processor, "FSIZE": self.limits.printed,
                            "CORE": 0, "NOFILE": 64}}
        # A new session, so that no signal or terminal reaches across; no variable of the grader's goes in.
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-u", "-X", "utf8", str(HERE / "runner.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.printed_to, bufsize=0, cwd=self.folder, start_new_session=True,
            env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1",
                 "HOME": self.folder, "LANG": "C.UTF-8", **{name: os.environ[name] for name in PASSED if name in os.environ}})
        assert self.process.stdin is not None and self.process.stdout is not None
        self.into, self.out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.into, False)  # the process has the other ends, and could empty, fill or shrink a pipe
        os.set_blocking(self.out, False)  # between our looking and our reading or writing
        self.walls: dict[str, bool] = {}
        self._called, self._allowed = False, 0.0  # whether there was a first call; seconds for what is waited for
        try:
            self._start(given)
        except BaseException as fault:
            if isinstance(fault, Stopped):
                fault.printed = self.printed()
            self.close()
            raise

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *fault) -> None:
        self.close()

    def _start(self, given: dict) -> None:
        self._allowed = self.limits.start
        deadline = time.monotonic() + self._allowed
        self._write((json.dumps(given) + "\n").encode(), deadline, "start")
        kind, body = self._frame(deadline, "start", TOLD)
        if kind != b"W":  # before the submission is read, so that this is the machine's fault
            raise RuntimeError(f"The process for a submission did not start as it should: {body[:500]!r}. Try `isbe info`.")
        self.walls = json.loads(body)
        kind, body = self._frame(deadline, "start", TOLD)
        if kind != b"R":
            raise Stopped("import failed", f"The file could not be run. {_text(body)}")

    def call(self, arguments) -> tuple[list, float]:
        """The arrays that the function returns for `arguments`, and the seconds until they were here, by this side's clock."""
        self._allowed = self.limits.call if self._called else self.limits.first
        self._called, begun = True, time.monotonic()
        self._write(protocol.frame(b"C", protocol.pack_arguments(arguments)), begun + self._allowed, "answer")
        kind, body = self._frame(begun + self._allowed, "answer", self.limits.reply)
        seconds = time.monotonic() - begun
        if kind == b"E":
            raise Failed(_text(body))
        try:
            if kind != b"A":
                raise protocol.WireError("the frame is of another kind")
            return protocol.unpack(body), seconds
        except protocol.WireError as fault:
            raise Stopped("forged reply", f"The process sent what no function's result looks like ({fault}).") from fault

    def printed(self) -> str:
        """The beginning of what the submission printed, errors included."""
        self.printed_to.seek(0)
        return self.printed_to.read(self.limits.printed).decode("utf-8", "replace")

    def close(self) -> None:
        """Kill the process and all of its session, and remove its folder."""
        for kill in (lambda: os.killpg(self.process.pid, signal.SIGKILL), self.process.kill):
            try:
                kill()
            except (ProcessLookupError, PermissionError):
                pass  # it has ended
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.printed_to):
            try:
                stream.close()  # type: ignore[union-attr]
            except OSError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, data: bytes, deadline: float, what: str) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.into, select.POLLOUT, deadline, what)
            try:
                view = view[os.write(self.into, view[:65536]):]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._ended() from None

    def _frame(self, deadline: float, what: str, most: int) -> tuple[bytes, bytes]:
        kind, length = protocol.HEAD.unpack(self._read(protocol.HEAD.size, deadline, what))
        if kind not in (b"W", b"R", b"A", b"E"):
            raise Stopped("forged reply", "The process sent what is no reply of a function.")
        if length > (most if kind == b"A" else TOLD):
            raise Stopped("reply too large", f"The function returned {length:,} bytes; at most {most:,} are read.")
        return kind, self._read(length, deadline, what)

    def _read(self, count: int, deadline: float, what: str) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            self._wait(self.out, select.POLLIN, deadline, what)
            try:
                part = os.read(self.out, min(65536, count - len(parts)))
            except BlockingIOError:
                continue
            if not part:
                raise self._ended()
            parts += part
        return bytes(parts)

    def _wait(self, descriptor: int, event: int, deadline: float, what: str) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise self._late(what)

    def _late(self, what: str) -> Stopped:
        return Stopped("time limit", f"No {what} within {self._allowed:g} s; the process was stopped. Is there a loop that "
                                     "does not end?")

    def _ended(self) -> Stopped:
        try:
            code = self.process.wait(1)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on, or will not until it is killed
            return Stopped("closed its pipe", "The process closed the pipe for its answers.")
        if code == -signal.SIGXCPU:
            return Stopped("processor limit", f"The process used more than {self.limits.processor} s of processor time.")
        if code == -signal.SIGKILL:
            return Stopped("killed", "The process was killed: by itself, for more processor time than allowed, or because the "
                                     "machine's memory ran out.")
        if code == -signal.SIGSYS:
            return Stopped("forbidden call", "The process called the system in a way that no answer needs, and was ended.")
        if code < 0:
            return Stopped("crashed", f"The process was ended by signal {-code} ({_signal_name(-code)}). An index out of range "
                                      "in a kernel, too deep a recursion, or too much memory can do that.")
        return Stopped("ended itself", f"The process ended by itself, with exit code {code}, instead of returning an answer.")


# What NumPy and Numba need to work right on some machines; nothing of the user's.
PASSED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NUMBA_DISABLE_JIT", "NUMBA_CPU_NAME", "SYSTEMROOT")


def isolation(walls: dict[str, bool]) -> str:
    """In one line what stands between a submission and the machine: "full" or "reduced", and what is there and what is not."""
    there = "; ".join(WALLS[name] for name in WALLS if walls.get(name))
    missing = "; ".join(WALLS[name] for name in FULL if not walls.get(name))
    return f"full: {there}" if not missing else f"reduced: {there}. NOT here: {missing}"


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
