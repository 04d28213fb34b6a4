"""The walls around a submission, raised by its own process before it is read; they cannot be taken down again.

Runs inside that process: the standard library alone, nothing of isbe_np. What each wall keeps out:

- limits: memory, processor time and the size of a file, by `setrlimit`;
- user: where the grader is root, the process becomes the user "nobody" without capabilities;
- network: a network namespace of its own, with nothing in it (Linux, root);
- files: Landlock (Linux 5.13 or newer): a list of folders to read, and none to write;
- calls: a seccomp filter (Linux, x86-64 and 64-bit ARM) refuses every system call that starts, signals, reads or alters another
  process, opens a socket, shares memory, or changes the owner, mode or times of a file.

`raise_walls` tells which of them stand; a wall that this machine does not have is left out, never an error.
"""

import ctypes
import os
import platform
import resource
import struct
import sys

# What the filter refuses, with the numbers of the calls on x86-64 and on 64-bit ARM.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes: start, signal, read, alter
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "migrate_pages": (256, 238), "move_pages": (279, 239), "setpriority": (141, 140),
    "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    # sockets, and the rings that can open them unseen
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # memory that outlives the process or escapes its limit
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "userfaultfd": (323, 282),
    # what Landlock does not watch: owner, mode, times, attributes; and ways around it
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "open_by_handle_at": (304, 265), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    # the kernel itself
    "bpf": (321, 280), "perf_event_open": (298, 241), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
}
# "No such call" sends the C library to the older one, which the filter can judge.
ABSENT: dict[str, tuple[int | None, int | None]] = {"clone3": (435, 435)}
# Allowed for the process itself alone: its first argument is the process.
OWN = {"tgkill": (234, 131), "prlimit64": (302, 261)}
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
EPERM, ENOSYS = 1, 38
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 8, 38
CAP_DAC_READ_SEARCH = 2
CLONE_NEWNET = 0x40000000
READ_FILE, READ_FOLDER, EXECUTE = 4, 8, 1  # Landlock's rights


def raise_walls(limits: dict, readable: list[str], listable: list[str], shut_in: bool) -> dict:
    """Raise the walls that this machine has, and return what stands, name by name.

    `limits` maps the suffixes of RLIMIT names (``"AS"``: bytes) to numbers; `readable` are the files and folders that may be
    read, `listable` those whose names alone may be. `shut_in`: only root can read the interpreter, so that "nobody" needs the
    capability to read what Landlock lets through.
    """
    stand = {"limits": all([_limit(name, most) for name, most in limits.items()]), "user": False, "network": False,
             "files": False, "calls": False}
    if sys.platform != "linux":
        return stand
    C = ctypes.CDLL(None, use_errno=True)
    root = os.getuid() == 0
    if root:
        stand["network"] = C.unshare(CLONE_NEWNET) == 0
    C.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    rules = _file_rules(C, readable, listable)
    if root:
        stand["user"] = _become_nobody(C, rules is not None, shut_in)
    C.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)  # without its grader it ends; a change of user would take this back
    if rules is not None:
        stand["files"] = C.syscall(446, rules, 0) == 0  # landlock_restrict_self
        os.close(rules)
    stand["calls"] = _filter_calls(C)
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


def _become_nobody(C, landlocked: bool, shut_in: bool) -> bool:
    """Give up root's user and groups, and all capabilities but, where it is needed and Landlock watches it, that to read."""
    keep = landlocked and shut_in
    if keep:
        C.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    moved = not shut_in or keep
    if moved:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        except OSError:
            moved = False  # a user namespace without that number
    kept = (1 << CAP_DAC_READ_SEARCH) if keep and moved else 0
    C.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0))
    return moved


def _filter_calls(C) -> bool:
    """A seccomp filter on every thread of this process; False where the kernel or the processor has none."""
    if platform.machine() not in ARCHITECTURES:
        return False
    column, architecture = ARCHITECTURES[platform.machine()]
    load, equal, at_least, leave = 0x20, 0x15, 0x35, 0x06
    allow, refuse, absent, kill = 0x7FFF0000, 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x80000000
    # Each instruction: what, jump if true, jump if not, number. The call's number lies at 0, its architecture at 4.
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), (leave, 0, 0, kill), (load, 0, 0, 0)]
    if column == 0:
        steps += [(at_least, 0, 1, 0x40000000), (leave, 0, 0, kill)]  # the x32 numbers of the same calls
    for calls, answer in ((REFUSED, refuse), (ABSENT, absent)):
        for numbers in calls.values():
            number = numbers[column]
            if number is not None:
                steps += [(equal, 0, 1, number), (leave, 0, 0, answer)]
    for numbers in OWN.values():  # the low half of the first argument lies at 16
        steps += [(equal, 0, 5, numbers[column]), (load, 0, 0, 16), (equal, 2, 0, os.getpid()), (equal, 1, 0, 0),
                  (leave, 0, 0, refuse), (leave, 0, 0, allow)]
    steps.append((leave, 0, 0, allow))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    program = Program(len(steps), ctypes.addressof(code))
    seccomp = (317, 277)[column]
    return C.syscall(seccomp, 1, 1, ctypes.byref(program)) == 0  # set the filter, on all threads
