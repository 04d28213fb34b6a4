"""A submission's process: what it can do, what it cannot, and what the grader says of either."""

import os
import sys

import numpy as np
import pytest

import isbe_np
from isbe_np.classroom import Formula, Limits
from isbe_np.classroom.sandbox import FULL, Failed, Sandbox, Stopped, isolation

SHORT = Limits(start=10, first=10, call=1)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls but the limits are Linux's")


def call(source, *arguments, modules=("numpy",), limits=SHORT, function="f"):
    with Sandbox(source, function, modules, limits) as sandbox:
        return sandbox.call(arguments)[0]


def test_arrays_numbers_and_tuples_come_back():
    a, b, c = call("def f(x, k): return x * k, 3, True", np.arange(3.0), 2)
    assert np.array_equal(a, [0, 2, 4]) and a.dtype == np.float64 and int(b) == 3 and bool(c)


def test_the_first_call_has_its_own_time():
    source = "n = 0\ndef f(x):\n    global n\n    n += 1\n    while n > 1: pass\n    return x"
    with Sandbox(source, "f", limits=Limits(start=10, first=2, call=0.5)) as sandbox:
        assert sandbox.call([1.0])[0] == [1.0]
        with pytest.raises(Stopped, match=r"No answer within 0\.5 s"):
            sandbox.call([1.0])


def test_a_missing_return_is_told():
    with pytest.raises(Failed, match="returned None where an array or a number is expected: is a return missing"):
        call("def f(x): pass", 1.0)


def test_formulas_can_be_called():
    assert call("def f(g): return g(2.0) + g(3.0)", Formula("x", "a * x", a=10.0)) == [50.0]


def test_the_process_goes_on_after_an_error_and_keeps_its_state():
    with Sandbox(
        "count = 0\ndef f(x):\n    global count\n    count += 1\n    if x < 0: raise ValueError('no')\n    return count",
        "f",
        limits=SHORT,
    ) as sandbox:
        assert int(sandbox.call([1])[0][0]) == 1
        with pytest.raises(Failed, match=r"^ValueError: no\nline 5, in f: if x < 0: raise"):
            sandbox.call([-1])
        assert int(sandbox.call([1])[0][0]) == 3


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("def g(x): return x", "import failed", "submission.py has no function f. Was it renamed or removed?"),
        ("def f(x) return x", "import failed", "SyntaxError"),
        ("1 / 0", "import failed", "ZeroDivisionError: division by zero\nline 1, in <module>: 1 / 0"),
        ("x = 1\0", "import failed", "null bytes"),
        ("raise SystemExit(0)", "import failed", "SystemExit: 0"),
        ("import os; os._exit(0)", "ended itself", "with exit code 0, instead of returning an answer"),
        ("def f(x):\n    while True: pass", "time limit", "No answer within 1 s"),
        ("while True: pass", "time limit", "No start within 1 s"),
        ("import ctypes\ndef f(x): ctypes.string_at(0)", "crashed", "SIGSEGV"),
        ("import numpy as np\ndef f(x): return np.zeros(10**7)", "reply too large", "The function returned 80,000,0"),
        (
            "import os\ndef f(x):\n    for k in range(3, 64):\n        try: os.write(k, b'junk')\n        except OSError: 0",
            "reply",
            "",
        ),
    ],
)
def test_what_ends_a_process_is_named(source, kind, words):
    limits = Limits(start=1 if source.startswith("while") else 10, first=1, call=1)
    with pytest.raises(Stopped) as told:
        call(source, 1.0, limits=limits)
    assert kind in told.value.kind and words in str(told.value)


@pytest.mark.parametrize("value", ["'text'", "None", "1j", "[[[1], [2, 3]]]", "object()", "(1, None)", "{1: 2}", "lambda: 1"])
def test_answers_that_are_no_arrays_are_the_submissions_error(value):
    with pytest.raises(Failed, match=r"^(the result is|result 1 is|the function returned None).* (expected|length)"):
        call(f"def f(x): return {value}", 1.0)


def test_memory_is_limited():
    with pytest.raises(Failed, match="MemoryError"):
        call("import numpy as np\ndef f(x): return np.ones(10**9)", 1.0)


@linux
@pytest.mark.parametrize(
    "attempt",
    [
        "os.fork()",
        "os.listdir('/')",
        "open('/etc/passwd')",
        "open('new', 'w')",
        "open('/dev/shm/new', 'w')",
        "open('/proc/self/maps')",
        "open(f'/proc/{os.getppid()}/mem', 'rb')",
        "os.kill(os.getppid(), 9)",
        "os.kill(-1, 9)",
        "socket.socket()",
        "os.chmod('.', 0)",
        "socket.socket(socket.AF_UNIX)",
        "os.memfd_create('x')",
        "os.symlink('a', 'b')",
        "os.mkdir('x')",
        "os.setpriority(0, 0, 5)",
        "os.utime('.', (0, 0))",
        "os.execv('/bin/true', ['true'])",
        "threading.Thread(target=print).start()",
        "subprocess.run(['true'])",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "open(numpy.__path__[0] + '/../../../../../pyvenv.cfg')",
        "os.truncate(numpy.__file__, 0)",
        "os.unlink(numpy.__file__)",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
        "os.setuid(0)",
        "open(__import__('sys').executable + 'x', 'w')",
    ],
)
def test_the_walls_hold(attempt):
    source = (
        "import os, resource, socket, subprocess, threading\nimport numpy\n"
        f"def f(x):\n    try:\n        {attempt}\n"
        "    except (OSError, RuntimeError, ValueError):\n        return 1\n    return 0"
    )
    assert call(source, 1.0) == [1]


@linux
@pytest.mark.parametrize("attempt", ["os.fork()", "os.chmod('/nowhere', 0)", "os.chmod('/nowhere', 0, dir_fd=0)",
                                     "os.chown('/nowhere', 0, 0)", "os.utime('/nowhere', (0, 0))",
                                     "resource.prlimit(2**22 - 1, resource.RLIMIT_CPU)", "os.kill(2**22 - 1, 0)"])
def test_calls_are_refused_before_the_kernel_looks_for_their_object(attempt):
    # What user "nobody" may not do anyhow, the owner of the files could.
    with pytest.raises(Failed, match=r"^PermissionError: .* Operation not permitted"):
        call(f"import os, resource\ndef f(x): return {attempt}", 1.0)


@linux
def test_the_package_cannot_be_read():
    with pytest.raises(Failed, match=r"^PermissionError"):
        call(f"def f(x): return len(open({isbe_np.__file__!r}).read())", 1.0)


@linux
def test_all_walls_stand_here_and_the_report_says_so():
    with Sandbox("def f(x): return x", "f", limits=SHORT) as sandbox:
        assert isolation(sandbox.walls).startswith("full: ") and sandbox.walls["user"] == (os.getuid() == 0)


def test_a_missing_wall_is_reported():
    assert isolation(dict.fromkeys(FULL, True)).startswith("full: limits of memory")
    assert isolation({"limits": True}).endswith(
        "NOT here: no network; no writing, and reading of Python's own files alone; no other "
        "processes, sockets or shared memory"
    )


@pytest.mark.parametrize("name", ["isbe_np", "matplotlib", "llvmlite", "protocol", "runner", "pytest"])
def test_other_packages_are_out_of_reach(name):
    with pytest.raises(Stopped, match=f"ModuleNotFoundError: {name} cannot be imported in an assignment"):
        call(f"import {name}\ndef f(x): return x", 1.0)


def test_no_variable_of_the_graders_goes_in(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "1234")
    with pytest.raises(Failed, match="KeyError: 'SECRET_KEY'"):
        call("import os\ndef f(x): return float(os.environ['SECRET_KEY'])", 1.0)


def test_what_is_printed_is_kept_up_to_its_limit_and_costs_no_points():
    with Sandbox(
        "print('at import')\ndef f(x):\n    print('y' * 10**6)\n    print('more')\n    return x", "f", limits=SHORT
    ) as sandbox:
        assert sandbox.call([1.0])[0] == [1.0]
        text = sandbox.printed()
    assert text.startswith("at import\nyyy") and len(text) <= SHORT.printed


def test_numba_kernels_compile_with_and_without_threads_and_cache():
    source = (
        "import numba, numpy as np\n@numba.njit(cache=True)\ndef total(x):\n    s = 0.0\n    for v in x: s += v\n    return s\n"
        "@numba.njit(parallel=True)\ndef twice(x):\n    y = np.empty_like(x)\n"
        "    for k in numba.prange(x.size): y[k] = 2 * x[k]\n"
        "    return y\ndef f(x): return total(x), twice(x)"
    )
    total, twice = call(source, np.arange(4.0), modules=("numpy", "numba"), limits=Limits())
    assert total == 6 and np.array_equal(twice, [0, 2, 4, 6])


def test_a_hang_in_compiled_code_is_ended():
    source = "import numba\n@numba.njit\ndef spin(x):\n    while x > 0: x += 1.0\n    return x\ndef f(x): return spin(x)"
    with pytest.raises(Stopped, match="No answer within 2 s"):
        call(source, 1.0, modules=("numpy", "numba"), limits=Limits(first=2, call=2))


def test_nothing_is_left(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with Sandbox("def f(x): return x", "f", limits=SHORT) as sandbox:
        process, folder = sandbox.process, sandbox.folder
        assert os.path.dirname(folder) == str(tmp_path) and process.poll() is None
    assert process.returncode == -9 and not os.path.exists(folder)
