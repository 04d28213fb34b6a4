"""The walls around a submission, raised by its own process before it is read; they cannot be taken down again.

Runs inside that process: the standard library alone, nothing of isbe_np. What each wall keeps out:

- limits: memory, processor time and the size of a file, by `setrlimit`;
- user: where the grader is root, the process becomes the user "nobody";
- network: a network namespace of its own, with nothing in it (Linux, root);
- files: Landlock (Linux 5.13 or newer): a list of folders to read, and none to write;
- calls: a seccomp filter (Linux, x86-64 and 64-bit ARM; see `calls.py`) refuses every system call that starts, signals, reads
  or alters another process, opens a socket, shares memory, or changes the owner, mode or times of a file.

`raise_walls` tells which of them stand; a wall that this machine does not have is left out, never an error.
"""

import ctypes
import os
import resource
import struct
import sys

from calls import filter_calls

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 8, 38
CAP_DAC_READ_SEARCH = 2
CLONE_NEWNET = 0x40000000
READ_FILE, READ_FOLDER, EXECUTE = 4, 8, 1  # Landlock's rights


def raise_walls(limits: dict, readable: list[str], listable: list[str], shut_in: bool, ready=lambda: None) -> dict:
    """Raise the walls that this machine has, and return what stands, name by name.

    `limits` maps the suffixes of RLIMIT names (``"AS"``: bytes) to numbers; `readable` are the files and folders that may be
    read, `listable` those whose names alone may be. `shut_in`: only root can read the interpreter, so that "nobody" needs a
    capability to read it. ``ready()`` is called behind the wall of files, which holds for later threads alone, and before that
    of calls, behind which none can be started.
    """
    stand = {"limits": all([_limit(name, most) for name, most in limits.items()]), "user": False, "network": False,
             "files": False, "calls": False}
    if sys.platform != "linux":
        ready()
        _limit("NPROC", 0)
        return stand
    C = ctypes.CDLL(None, use_errno=True)
    root = os.getuid() == 0
    if root:
        stand["network"] = C.unshare(CLONE_NEWNET) == 0
    C.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    rules = _file_rules(C, readable, listable)
    if root:
        stand["user"] = _become_nobody(C, shut_in)
    C.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)  # without its grader it ends; a change of user would take this back
    if rules is not None:
        stand["files"] = C.syscall(446, rules, 0) == 0  # landlock_restrict_self
        os.close(rules)
    ready()
    _limit("NPROC", 0)  # no other process or thread, also where no filter stands
    stand["calls"] = filter_calls(C)
    stand["network"] = stand["network"] or stand["calls"]
    return stand


def _limit(name: str, most: int) -> bool:
    number = getattr(resource, f"RLIMIT_{name}", None)
    if number is None:
        return False
    hard = resource.getrlimit(number)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(number, (most, most))
    except (ValueError, OSError):  # macOS knows some limits by name alone
        return False
    return True


def _file_rules(C, readable: list[str], listable: list[str]) -> int | None:
    """A Landlock ruleset that lets `readable` be read and nothing be written; None where the kernel has no Landlock."""
    version = C.syscall(444, None, 0, 1)  # landlock_create_ruleset, which tells its version
    if version < 1:
        return None
    handled = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)  # the number of rights that this version can refuse
    scoped = 3 if version >= 6 else 0  # no abstract sockets, no signals to the outside
    attributes = struct.pack("QQQ", (1 << handled) - 1, 3 if version >= 4 else 0, scoped)[:24 if version >= 6 else 16]
    rules = C.syscall(444, attributes, len(attributes) if version >= 4 else 8, 0)
    if rules < 0:
        return None
    for paths, rights in ((readable, READ_FILE | READ_FOLDER | EXECUTE), (listable, READ_FOLDER)):
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not on this machine
            allowed = rights if os.path.isdir(path) else rights & ~READ_FOLDER
            C.syscall(445, rules, 1, struct.pack("=Qi", allowed, place), 0)  # landlock_add_rule, below this path
            os.close(place)
    return rules


def _become_nobody(C, shut_in: bool) -> bool:
    """Give up root's user and groups, and all capabilities but, where the interpreter needs it, that to read.

    Without Landlock that one reads everything; yet root, who owns most files, could write them too.
    """
    if shut_in:
        C.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    try:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        moved = True
    except OSError:
        moved = False  # a user namespace without that number
    kept = (1 << CAP_DAC_READ_SEARCH) if moved and shut_in else 0
    C.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0))
    return moved
