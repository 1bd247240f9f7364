"""What the process that reads a document may not ask of the system, by seccomp (Linux, x86-64 and ARM64).

Parsers read memory and standard input, and import modules. None makes a socket, starts a program, looks into other
processes, or changes what lies on the disk: a process that a document has taken over can't either.
"""

import ctypes
import platform
import struct

_REFUSED = {
    "x86_64": """
    socket 41 connect 42 sendto 44 socketpair 53 fork 57 vfork 58 execve 59 kill 62 truncate 76 ftruncate 77 rename 82
    mkdir 83 rmdir 84 creat 85 link 86 unlink 87 symlink 88 chmod 90 fchmod 91 chown 92 fchown 93 lchown 94 ptrace 101
    rt_sigqueueinfo 129 mknod 133 mount 165 setxattr 188 tkill 200 tgkill 234 add_key 248 keyctl 250 mkdirat 258
    mknodat 259 fchownat 260 unlinkat 263 renameat 264 linkat 265 symlinkat 266 fchmodat 268 utimensat 280
    rt_tgsigqueueinfo 297 perf_event_open 298 process_vm_readv 310 process_vm_writev 311 renameat2 316 bpf 321
    execveat 322 userfaultfd 323 pidfd_send_signal 424 io_uring_setup 425 openat2 437 pidfd_getfd 438 shmget 29
    """,
    "aarch64": """
    setxattr 5 mknodat 33 mkdirat 34 unlinkat 35 symlinkat 36 linkat 37 renameat 38 mount 40 truncate 45 ftruncate 46
    fchmod 52 fchmodat 53 fchownat 54 fchown 55 utimensat 88 ptrace 117 kill 129 tkill 130 tgkill 131
    rt_sigqueueinfo 138 shmget 194 socket 198 socketpair 199 connect 203 sendto 206 add_key 217 keyctl 219 execve 221
    rt_tgsigqueueinfo 240 perf_event_open 241 process_vm_readv 270 process_vm_writev 271 renameat2 276 bpf 280
    execveat 281 userfaultfd 282 pidfd_send_signal 424 io_uring_setup 425 openat2 437 pidfd_getfd 438
    """,
}
"""System calls by machine, each with its number there."""
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""From linux/audit.h."""
_OPENING = {"x86_64": ((2, 1), (257, 2)), "aarch64": ((56, 2),)}
"""open and openat, and which of their arguments has the flags."""
_TO_CHANGE = 0x1 | 0x2 | 0x40 | 0x200
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: a file that is opened so can be emptied without a byte being written."""
_X32 = 0x40000000
_EPERM = 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | _EPERM, 0x80000000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_calls() -> bool:
    """For good, and for what this process might start. False where the system or the machine does not do it."""
    name = platform.machine()
    if name not in _MACHINES:
        return False
    lines = [
        _line(_LOAD, value=4),  # seccomp_data.arch: another one would number its calls otherwise
        _line(_EQUAL, 1, 0, _MACHINES[name]),
        _line(_RETURN, value=_KILL),
        _line(_LOAD, value=0),  # seccomp_data.nr
        _line(_AT_LEAST, 0, 1, _X32),
        _line(_RETURN, value=_REFUSE),
    ]
    for number in map(int, _REFUSED[name].split()[1::2]):
        lines += [_line(_EQUAL, 0, 1, number), _line(_RETURN, value=_REFUSE)]
    for number, place in _OPENING[name]:
        lines += [
            _line(_EQUAL, 0, 4, number),
            _line(_LOAD, value=16 + 8 * place),  # seccomp_data.args, the lower half
            _line(_ANY_OF, 0, 1, _TO_CHANGE),
            _line(_RETURN, value=_REFUSE),
            _line(_RETURN, value=_ALLOW),
        ]
    lines.append(_line(_RETURN, value=_ALLOW))
    code = b"".join(lines)
    program = _Program(len(lines), code)
    prctl = ctypes.CDLL(None).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _line(operation: int, then: int = 0, otherwise: int = 0, value: int = 0) -> bytes:
    """struct sock_filter."""
    return struct.pack("HBBI", operation, then, otherwise, value)
