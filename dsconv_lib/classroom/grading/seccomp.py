"""The system calls that a submission may not make, as a filter for the kernel.

No new process: so the limits of one process bound the whole submission. No sockets, no memory that
belongs to no process, no new namespaces, nothing with a history of holes. Threads are allowed.

bubblewrap takes the filter as a classic BPF program. Numbers are those of the kernel's
asm/unistd.h; the layout is that of linux/seccomp.h and linux/filter.h.
"""

from __future__ import annotations

import platform
import struct

from dsconv_lib.classroom.grading import GradingError

MACHINES = {"x86_64": (0xC000003E, 56), "aarch64": (0xC00000B7, 220)}  # AUDIT_ARCH, clone
# The calls that are refused, with their numbers on these machines; aarch64 never had two of them.
REFUSED: dict[str, tuple[int, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "unshare": (272, 97),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "setns": (308, 268),
}
# The newer calls have one number everywhere: io_uring, the new mounts, memfd_secret, and clone3.
CLONE3 = 435
EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 447)
X32 = 0x40000000  # a second set of numbers for the same calls on x86_64
THREAD = 0x00010000  # CLONE_THREAD

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in seccomp_data
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38


def program() -> bytes:
    """Assemble the filter for this machine.

    Raises:
        GradingError: if the machine's system calls are not known here.
    """
    machine = platform.machine()
    if machine not in MACHINES:
        known = f"expected one of {', '.join(MACHINES)}, whose system calls the sandbox knows"
        raise GradingError(
            f"a {machine} machine: {known}; grade on another machine, or add --unsafe"
        )
    architecture, clone = MACHINES[machine]
    column = list(MACHINES).index(machine)
    refused = [call for each in REFUSED.values() if (call := each[column]) is not None]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
    ]
    for number in (*refused, *EVERYWHERE):
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERROR | EPERM)]
    # Without clone3 the C library uses clone, whose flags can be read here.
    steps += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ERROR | ENOSYS)]
    steps += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 1, 0, THREAD)]
    steps += [(RETURN, 0, 0, ERROR | EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
