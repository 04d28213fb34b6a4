"""Hostile submissions of assignment a1, each with a name and with what it deserves.

A submission is the right answer to a1, then `PRELUDE`, then the attack, which may redefine any of the functions; so most
attacks run at import, and those in a function run in the call. What it deserves:

- ``score`` in tasks 1.1 and 1.3: `ALL` where the attack comes to nothing and the right answers stand, `REST` where 1.1 fails;
- ``incidents``: what the report must name, all of it and no more;
- ``word``: what must be in a message, a remark or the printed text.

An attack that wants to do what it must not says "refused" or "DONE" in print, by `tried`. @CANARIES@, @ROOT@ and @TEMP@ stand
for the folder of files that must not change, the project's, and the system's for temporary files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "tutorials" / "assignments" / "a1" / "a1.py").read_text(encoding="utf-8")
PRELUDE = '''
import ctypes, os, struct, sys, time
right = softmax
C = ctypes.CDLL(None, use_errno=True)

def tried(action, what=""):
    """Say whether `action` could be done; a C call that returns a negative number could not."""
    try:
        result = action()
        print("refused" if type(result) is int and result < 0 else "DONE", what, result)
    except BaseException as fault:
        print("refused", what, type(fault).__name__)

def pipes():
    """The numbers of all open pipes."""
    import stat
    found = []
    for fd in range(64):
        try:
            found += [fd] if stat.S_ISFIFO(os.fstat(fd).st_mode) else []
        except OSError:
            pass
    return found

def send(kind, body, length=None):
    """A frame to everything that takes one."""
    for fd in pipes():
        try:
            os.write(fd, struct.pack("<cQ", kind, len(body) if length is None else length) + body)
        except OSError:
            pass
'''
WRONG = '''
def softmax(scores):
    return np.full(scores.shape, 7.0)
softmax_temperature = lambda scores, temperature: np.full(scores.shape, 7, scores.dtype)
softmax_jacobian = lambda soft: np.full((*soft.shape, soft.shape[1]), 7.0)
temperature_jacobian = lambda soft, temperature: np.full((*soft.shape, soft.shape[1]), 7.0)
jacobian_times = lambda soft, gradient: np.full(soft.shape, 7.0)
'''
ALL, REST = 8, 3  # points of tasks 1.1 and 1.3, and of 1.3 alone


@dataclass(frozen=True)
class Attack:
    """See above. `limits` override the tests' own; `modules` may be imported; without all its `walls` it is left out."""

    name: str
    code: str
    score: float
    incidents: tuple[str, ...] = ()
    word: str = ""
    walls: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    modules: tuple[str, ...] = ("numpy",)

    @property
    def source(self) -> str:
        """What is handed in."""
        return f"{GOOD}\n{PRELUDE}\n{self.code}\n"


def refused(name: str, actions: str, *walls: str) -> Attack:
    """An attack at import whose every line is an action that must be refused."""
    lines = [line.strip() for line in actions.strip().splitlines()]
    code = "\n".join(f"tried(lambda: {line}, {k})" for k, line in enumerate(lines))
    return Attack(name, code, ALL, word="refused", walls=walls)


def call(name: str, body: str, score: float, *incidents: str, word: str = "", walls: tuple[str, ...] = (), **limits) -> Attack:
    """An attack in each call of `softmax`."""
    code = "def softmax(scores):\n" + "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return Attack(name, code, score, incidents, word, walls, limits)


def hang(name: str, body: str) -> Attack:
    """An attack in each call of `softmax` that never ends."""
    return call(name, body, REST, "time limit", word="No answer within 0.6 s", first=0.6, call=0.6)


def forged(name: str, result: str, score: float, *incidents: str, word: str = "") -> Attack:
    """What `softmax` returns."""
    return call(name, f"return {result}", score, *incidents, word=word)


def cheat(name: str, code: str, score: float = 0, word: str = "", *incidents: str) -> Attack:
    """Wrong answers, and something that should make them count as right."""
    return Attack(name, WRONG + code, score, incidents, word)


EXITS = [
    Attack("os._exit at import", "os._exit(0)", 0, ("ended itself",), "exit code 0"),
    call("os._exit in the call", "os._exit(0)", REST, "ended itself", word="exit code 0"),
    Attack("sys.exit at import", "sys.exit(0)", 0, word="SystemExit"),
    call("sys.exit in the call", "sys.exit(0)", REST, word="SystemExit"),
    Attack("atexit", "import atexit\natexit.register(os._exit, 0)\natexit.register(lambda: time.sleep(60))", ALL,
           word="imports os"),
    call("C's exit", "C.exit(0)", REST, "ended itself"),
    call("C's abort", "C.abort()", REST, "crashed", word="SIGABRT"),
    call("SIGTERM to itself", "import signal\nsignal.raise_signal(signal.SIGTERM)", REST, "crashed", word="SIGTERM"),
    hang("stops itself", "import signal\nsignal.raise_signal(signal.SIGSTOP)"),
    call("closes its pipes and lives on", "os.closerange(0, 64)\nwhile True: time.sleep(1)", REST, "closed its pipe"),
    call("KeyboardInterrupt", "raise KeyboardInterrupt", REST, word="KeyboardInterrupt"),
    call("GeneratorExit", "raise GeneratorExit('passed')", REST, word="GeneratorExit"),
]

HANGS = [
    Attack("hang at import", "while True: pass", 0, ("time limit",), "No start within 1 s", limits={"start": 1}),
    hang("hang in the call", "while True: pass"),
    hang("sleep in C", "C.sleep(1000)"),
    hang("a regular expression that backtracks", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"),
    hang("a number of ten million digits", "sys.set_int_max_str_digits(0)\nint('7' * 10**7)"),
    hang("a huge power", "9 ** 9 ** 9"),
    hang("a sum over a huge range", "sum(range(10**18))"),
    hang("a lock taken twice", "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"),
    Attack("hang in a nopython kernel", "import numba\n@numba.njit\ndef spin(x):\n    while x[0] < 1e300:\n"
           "        x[0] = x[0] * 0\n"
           "def softmax(scores):\n    spin(np.ones(1))", REST, ("time limit",),
           limits={"first": 2, "memory": 2**31}, modules=("numpy", "numba")),
    hang("hang while the answer is read", "class Slow:\n    def __array__(self, *args, **more):\n        while True: pass\n"
           "return Slow()"),
    hang("hang while the error is told", "class Slow(Exception):\n    def __str__(self):\n        while True: pass\n"
           "raise Slow"),
    hang("drips its answer byte by byte", "send(b'A', b'', 10**6)\nwhile True:\n    for fd in pipes():\n"
           "        try: os.write(fd, b'x')\n        except OSError: pass\n    time.sleep(0.05)"),
    call("waits for input", "return input()", REST, word="EOFError"),
    hang("ignores every signal and hangs", "import signal\nfor k in range(1, 32):\n    try: signal.signal(k, signal.SIG_IGN)\n"
           "    except (OSError, ValueError): pass\nwhile True: pass"),
]

PROCESSES = [
    Attack("fork bomb", "for _ in range(20):\n    tried(os.fork)", ALL, word="refused", walls=("calls",)),
    refused("double fork, to stay as a daemon", "os._exit(0) if os.fork() else os.setsid() or os.fork() or time.sleep(30)",
          "calls"),
    refused("other programs", """
        __import__("subprocess").run(["/bin/true"])
        -os.system("sleep 30 &")
        os.posix_spawn("/bin/true", ["true"], {})
        os.execv("/bin/true", ["true"])
        C.execl(b"/bin/true", b"true", None)
        __import__("pty").fork()
        C.vfork()
        C.syscall(435, ctypes.create_string_buffer(88), 88)
        __import__("multiprocessing").get_context("fork").Process(target=print).start()""", "calls"),
    Attack("thread bomb", "import threading\nfor _ in range(20):\n"
           "    tried(threading.Thread(target=time.sleep, args=(30,)).start)", ALL, word="refused", walls=("calls",)),
    Attack("fork in machine code", "import mmap\npage = mmap.mmap(-1, 4096, prot=7)\n"
           "page.write(bytes.fromhex('b8390000000f05c3'))\n"
           "run = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\ntried(run)", ALL,
           word="refused",
           walls=("calls", "x86_64")),
]

MACHINE_CODE = ("import mmap\npage = mmap.mmap(-1, 4096, prot=7)\npage.write(bytes.fromhex({!r}))\n"
                "ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\nreturn right(scores)")
CALLS = [
    call("a call by 32-bit numbers", MACHINE_CODE.format("b814000000cd80c3"), REST, "forbidden call", word="no answer needs",
         walls=("calls", "x86_64")),
    call("a call by x32 numbers", MACHINE_CODE.format("b8270000400f05c3"), REST, "forbidden call", word="no answer needs",
         walls=("calls", "x86_64")),
    refused("io_uring", "C.syscall(425, 8, ctypes.create_string_buffer(120))", "calls"),
    refused("other walls for itself", """
        C.unshare(0x10000000)
        C.setns(0, 0)
        C.mount(b"none", b"/tmp", b"tmpfs", 0, None)
        C.chroot(b"/")
        C.setuid(0)
        os.setgroups([0])
        C.prctl(22, 0, 0, 0, 0)
        C.syscall(317, 0, 0, 0)
        C.keyctl(0, -3, 1)
        C.syscall(321, 0, None, 0)
        C.syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)
        C.syscall(304, -100, None, 0)""", "calls", "user"),
    refused("more for itself", """
        __import__("resource").setrlimit(9, (2**40, 2**40))
        __import__("resource").setrlimit(1, (2**40, 2**40))
        __import__("resource").setrlimit(0, (10**6, 10**6))
        os.sched_setaffinity(0, {0, 1})
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))""", "calls", "user"),
    refused("other limits for the grader", """
        __import__("resource").prlimit(os.getppid(), 0, (1, 1))
        __import__("resource").prlimit(os.getppid(), 7, (1, 1))
        os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)
        os.sched_setaffinity(os.getppid(), {0})""", "calls"),
    Attack("another filter on top", "class Program(ctypes.Structure):\n"
           "    _fields_ = [('n', ctypes.c_ushort), ('code', ctypes.c_void_p)]\n"
           "code = struct.pack('HBBI', 6, 0, 0, 0x7fff0000)\n"
           "C.syscall(317, 1, 0, ctypes.byref(Program(1, ctypes.cast(code, ctypes.c_void_p).value)))\ntried(os.fork)", ALL,
           word="refused", walls=("calls",)),
]

MEMORY = [
    call("heap", "a = [0] * 1000\nwhile True: a = a + a", REST, word="MemoryError", first=10, call=10),
    call("touched zeros", "a = []\nwhile True:\n    a.append(np.zeros(2**23))\n    a[-1][::512] = 1", REST,
         word="MemoryError", first=10, call=10),
    call("bytes", "return bytes(10**13)", REST, word="MemoryError"),
    call("mmap, shared and without a file", "import mmap\nm = mmap.mmap(-1, 2**32)\nm[::4096] = b'x' * (len(m) // 4096)", REST,
           word="OSError"),
    call("C's malloc", "C.malloc.restype = ctypes.c_void_p\np = [C.malloc(ctypes.c_size_t(2**26)) for _ in range(1000)]\n"
           "print('refused' if None in p else 'DONE')\nreturn right(scores)", ALL, word="refused"),
    refused("memory that outlives it", """
        os.memfd_create("x")
        C.shmget(0, 2**20, 0o1666)
        C.semget(0, 1, 0o1666)
        C.msgget(0, 0o1666)
        C.syscall(447, 0)
        __import__("multiprocessing.shared_memory").shared_memory.SharedMemory(create=True, size=2**20)""", "calls", "files"),
    refused("memory of the kernel", """
        C.syscall(444, struct.pack("QQ", 0, 3), 16, 0)
        C.timer_create(1, None, ctypes.byref(ctypes.c_void_p()))
        C.inotify_init()
        __import__("fcntl").lockf(os.open(os.__file__, os.O_RDONLY), 1 | 4, 1, 0)""", "calls"),
    call("a recursion that is deep", "return softmax(scores)", REST, word="RecursionError"),
    call("a recursion without a limit", "sys.setrecursionlimit(2**30)\ndef deep(x):\n    return sorted([x], key=deep)\n"
           "return deep(1)", REST, "crashed", word="SIGSEGV"),
    call("a null pointer", "return ctypes.string_at(0)", REST, "crashed", word="SIGSEGV"),
    call("an overwritten object", "ctypes.memset(id(np), 1, 4096)\nreturn right(scores)", REST, "crashed"),
    call("lists in lists", "a = []\nfor _ in range(10**5): a = [a]\nreturn a", REST),
]

DISK = [
    refused("files", """
        open("attack_file", "w").write("x" * 10**8)
        open("@TEMP@/attack_file", "w")
        open("/var/tmp/attack_file", "w")
        open("/dev/shm/attack_file", "w")
        [open(f"attack_{k}", "w") for k in range(10**4)]
        os.mkdir("attack_folder")
        os.mkfifo("attack_fifo")
        os.symlink("/", "attack_link")
        __import__("tempfile").TemporaryFile()
        os.open("@TEMP@", os.O_TMPFILE | os.O_RDWR)""", "files"),
    hang("prints without end", "while True: print('x' * 10**5)"),
    call("prints a lot", "print('y' * 10**7)\nreturn right(scores)", ALL, word="yyy"),
    Attack("blocks of disk behind its output", "size = 2**26\nC.fallocate64(2, 1, ctypes.c_int64(0), ctypes.c_int64(size))\n"
           "import fcntl\nfor number in (0x40305828, 0x4030582a):\n"
           "    try: fcntl.ioctl(2, number, struct.pack('hhqqiI16x', 0, 0, 0, size, 0, 0))\n    except OSError: pass\n"
           "print('DONE' if os.fstat(2).st_blocks * 512 > 10**6 else 'refused')", ALL, word="refused", walls=("calls",)),
    refused("an output of any length", "os.ftruncate(2, 10**9)\nos.pwrite(2, b'x', 10**9)"),
]

PATCHES = [
    cheat("patches numpy.testing", "import numpy.testing\nnumpy.testing.assert_allclose = lambda *a, **k: None\n"
          "print('patched')", word="patched"),
    cheat("patches what compares", "np.abs = np.allclose = np.isclose = np.all = np.array_equal = lambda *a, **k: True",
          word="replaces a part of a library"),
    cheat("patches builtins", "import builtins\nbuiltins.abs = builtins.max = builtins.round = lambda *a, **k: 0\n"
          "builtins.all = builtins.min = lambda *a: True", word="imports builtins"),
    cheat("patches isinstance", "import builtins\nbuiltins.isinstance = lambda *a: True", 0, "imports builtins",
          "ended itself"),
    Attack("patches len", WRONG + "import builtins\nbuiltins.len = lambda x: 0", 0, ("ended itself",), "imports builtins"),
    cheat("patches json", "import json\njson.dumps = json.loads = lambda *a, **k: {'score': 16}", 0, "", "ended itself"),
    cheat("patches struct", "struct.calcsize = struct.Struct = lambda *a: 0", word="imports os"),
    cheat("empties sys.modules", "sys.modules.clear()"),
    cheat("another module called numpy", "import types\nsys.modules['numpy'] = types.ModuleType('numpy')"),
    cheat("the runner's own packing", "frame = sys._getframe()\nwhile 'protocol' not in frame.f_locals: frame = frame.f_back\n"
          "frame.f_locals['protocol'].pack = lambda values: b'\\x01\\x00\\x05\\x00' + bytes(8)", 0, "has shape ()"),
    cheat("the runner's frames", "frame = sys._getframe()\nwhile frame:\n    for where in list(frame.f_locals.items()):\n"
          "        if where[0] == 'given': where[1].update(score=16, function='right')\n"
          "        if where[0] == 'answers': where[1].write(struct.pack('<cQ', b'R', 0))\n    frame = frame.f_back", 0, "",
          "forged reply"),
    cheat("everything that gc knows", "import gc\nfor thing in gc.get_objects():\n"
          "    if type(thing) is dict and 'score' in thing:\n"
          "        thing['score'] = thing['points'] = 16\ngc.disable()", word="imports gc"),
    cheat("an import hook", "class Finder:\n    def find_spec(self, *args):\n        print('asked for', args[0])\n"
          "sys.meta_path[:] = [Finder()]\ntry:\n    import isbe_np\nexcept ImportError:\n    print('refused')", word="refused"),
    cheat("traces every line", "def trace(frame, event, value):\n    if 'got' in frame.f_locals: frame.f_locals['got'] = None\n"
          "    return trace\nsys.settrace(trace)\nsys.setprofile(trace)"),
    cheat("an answer that equals everything", "class Equal(np.ndarray):\n    def __eq__(self, other): return True\n"
          "    __ne__ = __lt__ = __gt__ = __le__ = lambda self, other: False\n    def __sub__(self, other): return self * 0\n"
          "    __rsub__ = __abs__ = __sub__\n    def __repr__(self): raise SystemExit\n"
          "    def __array_ufunc__(self, *a, **k): return np.zeros(1)\n"
          "softmax = lambda scores: np.full(scores.shape, 7.0).view(Equal)", word="off by"),
    cheat("replaces the error's printer", "import traceback\ntraceback.extract_tb = lambda *a: os._exit(0)\n"
          "def softmax(scores):\n"
          "    raise ValueError", 0, "", "ended itself"),
]

READING = [
    refused("the grader's memory", """
        open(f"/proc/{os.getppid()}/mem", "rb")
        open(f"/proc/{os.getppid()}/environ", "rb")
        open(f"/proc/{os.getppid()}/cmdline", "rb")
        open(f"/proc/{os.getppid()}/maps")
        os.listdir(f"/proc/{os.getppid()}/fd")
        os.listdir("/proc")
        os.readlink(f"/proc/{os.getppid()}/exe")""", "files"),
    refused("the grader's memory, by calls", """
        C.process_vm_readv(os.getppid(), None, 0, None, 0, 0)
        C.process_vm_writev(os.getppid(), None, 0, None, 0, 0)
        C.ptrace(16, os.getppid(), None, None)
        C.ptrace(0x4206, os.getppid(), None, None)
        C.syscall(434, os.getppid(), 0)
        C.syscall(438, 0, 0, 0)
        C.syscall(312, os.getpid(), os.getppid(), 0, 0, 0)""", "calls"),
    refused("the key", """
        __import__("isbe_np")
        sys.path.insert(0, "@ROOT@") or sys.meta_path.pop(0) and __import__("isbe_np")
        open("@ROOT@/isbe_np/heads/__init__.py")
        open("@ROOT@/tutorials/assignments/a1/a1.py")
        os.listdir("@ROOT@/tutorials/assignments")
        __import__("runpy").run_path("@ROOT@/tutorials/assignments/a1/a1.py")
        open("@CANARIES@/key")
        __import__("importlib.util").util.spec_from_file_location("k", "@ROOT@/k.py").loader.get_data("@ROOT@/README.md")
        __import__("imp").load_source("k", "@ROOT@/isbe_np/__init__.py")""", "files"),
    Attack("everything beside NumPy", "site = os.path.dirname(os.path.dirname(np.__file__))\nnames = os.listdir(site)\n"
           "for name in names:\n    if name.endswith(('.pth', '.egg-link')) or 'isbe' in name:\n"
           "        tried(lambda: open(os.path.join(site, name)).read())\n"
           "tried(lambda: open(os.path.join(site, 'no such file')))", ALL, word="refused", walls=("files",)),
    refused("what others handed in", """
        open("@CANARIES@/alice.py")
        os.listdir("@CANARIES@")
        list(os.scandir("@CANARIES@"))
        os.open("@CANARIES@/alice.py", os.O_RDONLY)
        C.open(b"@CANARIES@/alice.py", 0)
        __import__("mmap").mmap(os.open("@CANARIES@/alice.py", os.O_PATH), 0)
        open(os.open("@CANARIES@/alice.py", os.O_PATH)).read()
        __import__("linecache").getlines("@CANARIES@/alice.py")[0]
        os.link("@CANARIES@/alice.py", "mine")""", "files"),
    Attack("a thread that was there before the walls", "import numba\n"
           "opens, path = C.open, np.frombuffer(b'/etc/passwd\\0', 'u1').copy()\n"
           "opens.argtypes, opens.restype = [ctypes.c_void_p, ctypes.c_int], ctypes.c_int\n@numba.njit(parallel=True)\n"
           "def open_all(path, found):\n    for k in numba.prange(len(found)):\n        found[k] = opens(path.ctypes, 0)\n"
           "found = np.zeros(4, np.int64)\ntried(lambda: open_all(path, found) or int(found.max()))", ALL, word="refused",
           walls=("files",), limits={"memory": 2**31}, modules=("numpy", "numba")),
    refused("what others look at", """
        C.inotify_add_watch(C.inotify_init1(0), b"@CANARIES@", 0xfff)
        C.syscall(300, 0x200, 0)""", "calls"),
    refused("the system's files", """
        open("/etc/passwd")
        open("/proc/self/environ")
        open("/dev/mem")
        open("/dev/kmsg")
        os.listdir("/home")
        os.listdir("/")""", "files"),
    cheat("is right where it is not graded", "if 'isbe_' not in os.getcwd() or sys.stdin.isatty():\n    softmax = right"),
]

FILES = [
    refused("others' files", """
        open("@CANARIES@/alice.py", "w")
        open("@CANARIES@/out/grades.csv", "a")
        os.truncate("@CANARIES@/alice.py", 0)
        os.open("@CANARIES@/alice.py", os.O_RDONLY | os.O_TRUNC)
        os.unlink("@CANARIES@/alice.py")
        os.rename("@CANARIES@/alice.py", "@CANARIES@/mallory.py")
        os.replace("@CANARIES@/key", "@CANARIES@/alice.py")
        os.symlink("@CANARIES@/key", "@CANARIES@/link")
        os.rmdir("@CANARIES@/out")
        __import__("shutil").rmtree("@CANARIES@/out")
        C.syscall(82, b"@CANARIES@/alice.py", b"@CANARIES@/bob.py")
        C.syscall(437, -100, b"@CANARIES@/alice.py", ctypes.create_string_buffer(struct.pack("QQQ", 1, 0, 0)), 24)""", "files"),
    refused("others' modes, owners and times", """
        os.chmod("@CANARIES@/alice.py", 0)
        os.chmod("@CANARIES@", 0)
        os.chown("@CANARIES@/alice.py", 65534, 65534)
        os.lchown("@CANARIES@/alice.py", 65534, 65534)
        os.utime("@CANARIES@/alice.py", (0, 0))
        os.setxattr("@CANARIES@/alice.py", "user.x", b"x")
        C.syscall(452, -100, b"@CANARIES@/alice.py", 0, 0)""", "calls"),
    cheat("writes its own report", "for folder in ('.', '..', '@CANARIES@/out', '/autograder/results'):\n"
          "    for name in ('results.json', 'grades.csv', 'feedback/mallory.json'):\n"
          "        tried(lambda: open(f'{folder}/{name}', 'w').write('{\"score\": 16}'))", word="refused"),
]

REPLIES = [
    forged("None", "None", REST, word="is a return missing"),
    forged("text", "'passed'", REST, word="numbers are expected"),
    forged("objects", "np.array([[object()]])", REST, word="numbers are expected"),
    forged("pickled objects", "np.array([print], dtype=object)", REST, word="numbers are expected"),
    forged("a generator", "(row for row in scores)", REST, word="numbers are expected"),
    forged("complex numbers", "right(scores) + 0j", REST, word="complex128"),
    forged("long doubles", "right(scores).astype(np.longdouble)", REST, word="numbers are expected"),
    forged("dates", "np.array(['2026-01-01'], 'M8[D]')", REST, word="numbers are expected"),
    forged("records", "np.zeros(3, [('a', 'f8')])", REST, word="numbers are expected"),
    forged("a ragged list", "[[1.0], [1.0, 2.0]]", REST, word="2 results"),
    forged("booleans", "np.ones(scores.shape, bool)", REST, word="off by"),
    forged("float32 where it is not close", "right(scores).astype(np.float32)", REST, word="off by"),
    forged("NaN everywhere", "scores * np.nan", REST, word="got nan"),
    forged("infinity everywhere", "scores * 0 + np.inf", REST, word="got inf"),
    forged("the same values in another shape", "right(scores).T.copy()", REST, word="has shape"),
    forged("a broadcast of a whole answer", "np.full((1, *scores.shape), right(scores))", REST, word="has shape"),
    forged("thousands of answers", "[right(scores)] * 5000", REST),
    forged("a huge array", "np.zeros(10**7)", REST, "reply too large"),
    forged("an array larger than memory", "np.broadcast_to(1.0, (10**6, 10**6))", REST, word="MemoryError"),
    forged("an integer of a thousand digits", "10**1000", REST),
    forged("its own input", "scores", REST, word="expected"),
    call("changes its input and returns it", "scores[:] = right(scores)\nreturn scores", ALL),
    call("a masked array", "return np.ma.masked_array(right(scores), True)", REST, word="masked"),
    call("a view with strides of its own", "return np.repeat(right(scores), 2, axis=1)[:, ::2]", ALL),
    call("memory that is no more", "return np.ndarray(scores.shape, buffer=(ctypes.c_char * 8000).from_address(8))", REST,
           "crashed"),
    call("pickle bytes for an answer", "send(b'A', b'cos\\nsystem\\n(S\"touch @TEMP@/attack_pickle\"\\ntR.')\ntime.sleep(0.2)",
           REST, "forged reply"),
    call("a length that lies", "send(b'A', b'', 2**63)\ntime.sleep(0.2)", REST, "reply too large"),
    call("a length that is longer than what comes", "send(b'A', b'\\x01', 10**5)\nos._exit(0)", REST, "ended itself"),
    call("an array shorter than its shape", "send(b'A', struct.pack('<BBBBQ', 1, 0, 5, 1, 10**5))\ntime.sleep(0.2)", REST,
           "forged reply"),
    call("no elements in an impossible shape", "send(b'A', struct.pack('<BBBB2Q', 1, 0, 5, 2, 0, 2**64 - 1))\ntime.sleep(0.2)",
           REST, "forged reply"),
    call("more axes than there are", "send(b'A', struct.pack('<BBBB', 1, 0, 5, 255) + bytes(2040))\ntime.sleep(0.2)", REST,
           "forged reply"),
    call("a frame of another kind", "send(b'W', b'{}')\ntime.sleep(0.2)", REST, "forged reply"),
    call("nonsense on the pipe", "send(b'\\xff', os.urandom(5000))\ntime.sleep(0.2)", REST, "forged reply"),
    call("an error of its own making", "send(b'E', b'\\x1b[2J\\xffAll tests passed, 16 points')\ntime.sleep(0.2)", REST,
           word="All tests passed"),
    Attack("answers before it is asked", "send(b'R', b'')\nfor _ in range(9):\n"
           "    send(b'A', struct.pack('<BBBB2Q', 1, 0, 5, 2, 1, 1) + bytes(8))\ntime.sleep(0.2)\nos._exit(0)", 0,
           ("ended itself",)),
    Attack("two answers to each call", "def softmax(scores):\n    y = right(scores)\n    send(b'A', struct.pack("
           "'<BBBB2Q', 1, 0, 5, 2, *y.shape) + y.tobytes())\n    return y", REST),
]

OUTPUT = [
    Attack("escape sequences in print", "print('\\x1b[2J\\x1b]0;owned\\x07\\x1b[31m\\x9b31m red \\x00 \\r16 / 16')", ALL,
           word="red"),
    Attack("HTML in print", "print('<script>alert(1)</script><img src=x onerror=alert(1)>')", ALL, word="<script>"),
    call("HTML in an error", "raise ValueError('</pre><script>alert(1)</script>')", REST, word="<script>"),
    call("a formula in an error", "raise ValueError('=HYPERLINK(\"http://x\")')", REST, word="HYPERLINK"),
    call("letters that turn the line round", "raise ValueError('\\u202e61 / 61\\u2066 \\ud800 \\U000e0041')", REST,
         word="61 / 61"),
    Attack("bytes that are no text", "os.write(2, bytes(range(128, 256)))\nos.write(1, b'after')", ALL, word="after"),
    call("a name with escape sequences", "raise type('\\x1b[31mRed', (Exception,), {})('boo')", REST, word="Red"),
    call("an error that cannot be told", "class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute", REST,
           word="cannot be told"),
    call("an error that prints", "class Loud(Exception):\n    def __str__(self):\n        print('from the error')\n"
           "        return 'loud'\nraise Loud", REST, word="from the error"),
    call("an error of 100 MB", "raise ValueError('z' * 10**8)", REST, word="zzz"),
    call("an error that ends a fence", "raise ValueError('```\\n# 16 / 16\\n~~~~')", REST, word="16 / 16"),
    call("a BaseException with a thousand causes", "fault = None\nfor _ in range(1000):\n    new = BaseException('x')\n"
           "    new.__cause__ = fault\n    fault = new\nraise fault", REST, word="BaseException"),
]

NETWORK = [
    refused("sockets", """
        __import__("socket").create_connection(("127.0.0.1", 22), 1)
        __import__("socket").create_connection(("1.1.1.1", 53), 1)
        __import__("socket").socket(2, 2).sendto(b"x", ("1.1.1.1", 53))
        __import__("socket").socket(1).connect("/var/run/docker.sock")
        __import__("socket").socket(1).bind("\\0abstract")
        __import__("socket").socketpair()
        __import__("socket").socket(16, 3, 0)
        __import__("urllib.request").request.urlopen("http://1.1.1.1/", timeout=1)""", "calls"),
]

SIGNALS = [
    refused("signals to all", "os.kill(-1, 9)\nC.kill(-1, 9)\nos.killpg(0, 15)", "calls"),
    refused("signals to the grader", """
        os.kill(os.getppid(), 9)
        os.kill(os.getppid(), 19)
        os.killpg(os.getpgid(os.getppid()), 15)
        C.syscall(129, os.getppid(), 9, ctypes.create_string_buffer(128))
        C.syscall(234, os.getppid(), os.getppid(), 9)
        C.syscall(200, os.getppid(), 9)
        C.syscall(424, 0, 9, None, 0)""", "calls"),
    Attack("signals to the grader by a pipe", "r, w = os.pipe()\nC.fcntl(r, 10, 12)\n"
           "C.fcntl(r, 4, os.O_ASYNC | os.O_NONBLOCK)\n"
           "C.fcntl(r, 8, os.getppid())\nos.write(w, b'x')\nos.close(r)\nos.close(w)", ALL, word="imports os"),
]

HONEST = [
    Attack("numba with a cache", "import numba\n@numba.njit(cache=True)\ndef double(x):\n    return 2 * x\n"
           "def softmax(scores):\n"
           "    return right(scores) * double(0.5)", ALL, limits={"first": 20, "memory": 2**31}, modules=("numpy", "numba")),
    Attack("right the first time only", "asked = []\ndef softmax(scores):\n    asked.append(1)\n"
           "    return right(scores) if len(asked) == 1 else scores", REST, word="case 2"),
    call("right for the public cases", "e = np.exp(scores)\n"
         "return right(scores) if len(scores) == 1 or abs(scores.sum()) < 1e-9 "
           "else scores", REST, word="case 2"),
    Attack("right as long as calls follow quickly", "last = [time.perf_counter()]\ndef softmax(scores):\n"
           "    now = time.perf_counter()\n"
           "    quick, last[0] = now - last[0] < 1e-7, now\n    return right(scores) if quick else scores", REST,
           word="expected"),
    call("guesses", "e = np.random.default_rng().random(scores.shape)\nreturn e / e.sum(axis=1, keepdims=True)", REST,
         word="off by"),
    Attack("right in some cases", "softmax_jacobian = lambda soft: np.zeros((*soft.shape, soft.shape[1]))", 6, word="off by"),
    Attack("cannot be parsed", "def softmax(scores)\n    return scores", 0, word="SyntaxError"),
    Attack("brackets without end", "x = " + "(" * 5000, 0, word="cannot be parsed"),
    Attack("a sum of thirty thousand terms", "x = 1" + " + 1" * 30000, 0, word="characters"),
    Attack("no such function", "del softmax", REST, word="has no function softmax"),
    Attack("functions that are none", "softmax = 7", REST, word="not callable"),
]

ATTACKS = [*EXITS, *HANGS, *PROCESSES, *CALLS, *MEMORY, *DISK, *PATCHES, *READING, *FILES, *REPLIES, *OUTPUT, *NETWORK,
           *SIGNALS, *HONEST]
