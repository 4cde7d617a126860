"""Confinement: from one moment on a process opens no connection, writes no file and starts no program (seccomp).

A file that imports nothing of the project, for child processes that are started by path. The kernel is asked for a
list of what a parser needs: computing, memory, reading files, and reading and writing what is open already. All else
fails with EACCES, whatever the process does then; the list cannot be taken back, nor by root.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Sequence

# linux/prctl.h, linux/seccomp.h, linux/audit.h
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EACCES
# linux/bpf_common.h: load a word, jump if equal, jump if any of the bits is set, end.
_LOAD, _IF_EQUAL, _IF_ANY, _END = 0x20, 0x15, 0x45, 0x06
# struct seccomp_data: the call's number, the processor, and arguments of 8 bytes each.
_NUMBER_AT, _PROCESSOR_AT, _ARGUMENTS_AT = 0, 4, 16

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# System calls by name, with their numbers on x86-64 and arm64 (asm/unistd_64.h, asm-generic/unistd.h); None: not there.
_ALLOWED = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "close": (3, 57),
    "fstat": (5, 80), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "lseek": (8, 62), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "madvise": (28, 233), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "futex": (202, 98), "getrandom": (318, 278),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "getcwd": (79, 17), "readlink": (89, None), "readlinkat": (267, 78), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "getdents64": (217, 61), "dup": (32, 23), "poll": (7, None),
    "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "sysinfo": (99, 179), "uname": (63, 160),
    "getrusage": (98, 165), "times": (100, 153), "setitimer": (38, 103), "getitimer": (36, 102),
    "restart_syscall": (219, 128), "exit": (60, 93), "exit_group": (231, 94), "membarrier": (324, 283),
    "fadvise64": (221, 223), "fcntl": (72, 25),
}  # fmt: skip
# The same of calls that open a file, with the place of their flags among their arguments: allowed for reading.
_OPENING = {"open": ((2, None), 1), "openat": ((257, 56), 2)}
# Name of the processor, its number in linux/audit.h, its column above, and the number of its call seccomp.
_PROCESSORS = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}


class CannotConfine(Exception):
    """This machine has no seccomp filter for us."""


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def filter_program(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter for a processor as instructions (code, steps if so, steps if not, value). Raises CannotConfine."""
    if machine not in _PROCESSORS:
        raise CannotConfine(f"processor {machine}: only {' and '.join(_PROCESSORS)} are known")
    processor, column, _ = _PROCESSORS[machine]
    program = [(_LOAD, 0, 0, _PROCESSOR_AT), (_IF_EQUAL, 1, 0, processor), (_END, 0, 0, _KILL)]
    program.append((_LOAD, 0, 0, _NUMBER_AT))
    for numbers, place in _OPENING.values():
        number = numbers[column]
        if number is not None:
            program += [(_IF_EQUAL, 0, 4, number), (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place)]
            program += [(_IF_ANY, 0, 1, _WRITING), (_END, 0, 0, _REFUSE), (_END, 0, 0, _ALLOW)]
    for numbers in _ALLOWED.values():
        number = numbers[column]
        if number is not None:
            program += [(_IF_EQUAL, 0, 1, number), (_END, 0, 0, _ALLOW)]
    return [*program, (_END, 0, 0, _REFUSE)]


def confine_this_process() -> None:
    """Confine all threads of this process from now on. Raises CannotConfine with the reason where it cannot be done."""
    machine = platform.machine()
    program = _as_structure(filter_program(machine))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        ctypes.c_long(_PROCESSORS[machine][2]),
        ctypes.c_ulong(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_ulong(_ALL_THREADS),
        ctypes.byref(program),
    ):
        raise CannotConfine(f"the kernel refuses a seccomp filter ({os.strerror(ctypes.get_errno())})")


def _as_structure(program: Sequence[tuple[int, int, int, int]]) -> _Program:
    instructions = (_Instruction * len(program))(*(_Instruction(*each) for each in program))
    return _Program(len(program), instructions)
