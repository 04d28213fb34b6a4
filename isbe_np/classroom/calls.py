"""The system calls that a submission is refused, and the seccomp filter that refuses them.

Runs inside the submission's process: the standard library alone, nothing of isbe_np. The list names what reaches beyond the
process, or takes what no limit counts; all else is let through, as NumPy, Numba and Python need much of it.
"""

import ctypes
import os
import platform
import struct

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
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191), "semop": (65, 193),
    "semtimedop": (220, 192), "msgget": (68, 186), "msgctl": (71, 187), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "userfaultfd": (323, 282),
    # the disk past a file's limit, the kernel's memory past the process's, and who opens which files
    "fallocate": (285, 47), "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445), "timer_create": (222, 107),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    # what Landlock does not watch: owner, mode, times, attributes, before Linux 6.2 also length; and ways around it
    "truncate": (76, 45), "creat": (85, None),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "open_by_handle_at": (304, 265), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    # the kernel itself
    "syslog": (103, 116), "modify_ldt": (154, None), "bpf": (321, 280), "perf_event_open": (298, 241),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
}
# "No such call" sends the C library to the older one, which the filter can judge.
ABSENT: dict[str, tuple[int | None, int | None]] = {"clone3": (435, 435), "openat2": (437, 437)}
# Refused for some values of an argument: the numbers, which argument, the values.
# - fcntl: who gets a file's signals (F_SETOWN, F_SETSIG, F_SETOWN_EX), before Linux 6.12 any process of the same user; and
#   locks, which take the kernel's memory;
# - ioctl: the same (FIOSETOWN, SIOCSPGRP); blocks past a file's end (FS_IOC_RESVSP, FS_IOC_RESVSP64, FS_IOC_ZERO_RANGE), which
#   no limit counts; a file's attributes (FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR);
# - prctl: PR_SET_PDEATHSIG, by which the process ends with its grader.
SOME: dict[str, tuple[tuple[int, int], int, tuple[int, ...]]] = {
    "fcntl": ((72, 25), 1, (6, 7, 8, 10, 15, 37, 38)),
    "ioctl": ((16, 29), 1, (0x8901, 0x8902, 0x40305828, 0x4030582A, 0x40305839, 0x40086602, 0x401C5820)),
    "prctl": ((157, 167), 0, (1,)),
}
# Refused where an argument holds a bit: O_TRUNC cuts a file that is opened to be read, which Landlock watches since Linux 6.2.
BITS: dict[str, tuple[tuple[int | None, int | None], int, int]] = {
    "open": ((2, None), 1, 0o1000), "openat": ((257, 56), 2, 0o1000),
}
# Allowed for the process itself alone: its first argument is the process.
OWN = {"tgkill": (234, 131), "prlimit64": (302, 261)}
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
EPERM, ENOSYS = 1, 38


def filter_calls(C) -> bool:
    """A seccomp filter on every thread of this process; False where the kernel or the processor has none."""
    if platform.machine() not in ARCHITECTURES:
        return False
    column, architecture = ARCHITECTURES[platform.machine()]
    load, equal, at_least, holds, leave = 0x20, 0x15, 0x35, 0x45, 0x06
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
    for both, argument, values in SOME.values():
        steps += [(equal, 0, 2 * len(values) + 2, both[column]), (load, 0, 0, 16 + 8 * argument)]
        for value in values:
            steps += [(equal, 0, 1, value), (leave, 0, 0, refuse)]
        steps.append((leave, 0, 0, allow))
    for openings, argument, bit in BITS.values():
        opening = openings[column]
        if opening is not None:
            steps += [(equal, 0, 4, opening), (load, 0, 0, 16 + 8 * argument), (holds, 0, 1, bit), (leave, 0, 0, refuse),
                      (leave, 0, 0, allow)]
    steps.append((leave, 0, 0, allow))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    program = Program(len(steps), ctypes.addressof(code))
    seccomp = (317, 277)[column]
    return C.syscall(seccomp, 1, 1, ctypes.byref(program)) == 0  # set the filter, on all threads
