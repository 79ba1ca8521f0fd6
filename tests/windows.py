"""Takes from this Linux process what Windows lacks, and adds what Windows refuses.

It is an imitation: what a real Windows does otherwise stays unknown. TensorFlow and the
other libraries, which have releases for Windows, are imported before and keep what they
took from Python; the modules of bt_keras are imported afterwards.
"""

import builtins
import errno
import io
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

MODULES = [
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "resource",
    "syslog",
    "termios",
    "tty",
]
_OS = """
O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE WNOHANG chown fchdir
fchmod fchown fdatasync fork forkpty getegid geteuid getgid getgroups getloadavg
getpgid getpgrp getsid getuid killpg lchown mkfifo mknod nice posix_fallocate pread
pwrite readv sched_getaffinity sched_setaffinity sendfile setsid statvfs sync sysconf
uname wait waitid writev
"""
_SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
_SIGNAL_FUNCTIONS = ["alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer"]
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?")
_IN_USE = 32  # ERROR_SHARING_VIOLATION
_DENIED = 5  # ERROR_ACCESS_DENIED


def imitate():
    """Changes this process; it cannot be undone."""
    for name in MODULES:
        sys.modules[name] = None
    # Windows has this function, by a system call of its own.
    usage = shutil.disk_usage("/")
    shutil.disk_usage = lambda path: usage
    for name in _OS.split():
        if hasattr(os, name):
            delattr(os, name)
    for name in ("AF_UNIX", "SO_REUSEPORT"):
        delattr(socket, name)
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile
    _limit_signals()
    _limit_folders()
    _limit_renames()
    _limit_open()


def wrong_names(folder):
    """Lists the paths below a folder whose names Windows does not have."""
    names = (path.relative_to(folder) for path in Path(folder).rglob("*"))
    return [name for name in names if _is_wrong(name.name)]


def _is_wrong(name):
    return bool(_FORBIDDEN.search(name) or _RESERVED.fullmatch(name))


def _check_names(path):
    if isinstance(path, int):  # A file descriptor.
        return
    text = os.fsdecode(path)
    # Folders that this system made, not the library.
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    if any(map(_is_wrong, parts)) and not text.startswith(("/dev/", "/proc/")):
        raise OSError(errno.EINVAL, "Windows has no such name", text)


def _error(number, path, code=errno.EACCES):
    error = OSError(code, "Permission denied", os.fsdecode(path))
    error.winerror = number
    return error


def _check_free(path):
    """Raises the error of Windows if this process has a file or one below it open."""
    real = os.path.realpath(os.path.dirname(os.fsdecode(path)) or ".")
    real = os.path.join(real, os.path.basename(os.fsdecode(path)))
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            opened = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if opened == real or opened.startswith(real + "/"):
            raise _error(_IN_USE, path)
    with _open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        mapped = ["/" + line.rstrip("\n").partition("/")[2] for line in maps]
        if any(name == real or name.startswith(real + "/") for name in mapped):
            raise _error(_IN_USE, path)


def _limit_signals():
    kept = {getattr(signal, name) for name in _SIGNALS}
    for name in dir(signal):
        if re.fullmatch("SIG[A-Z0-9]+", name) and name not in _SIGNALS:
            delattr(signal, name)
    for name in _SIGNAL_FUNCTIONS:
        delattr(signal, name)
    signal.SIGBREAK = signal.Signals(21)  # Its number on Windows.
    handle = signal.signal

    def limited(number, handler):
        if number not in (*kept, signal.SIGBREAK):
            raise ValueError("invalid signal value")
        return handle(number, handler)

    signal.signal = limited


def _limit_folders():
    mkdir, fsync = os.mkdir, os.fsync
    shutil._use_fd_functions = False  # They open folders.
    for name in [name for name in vars(shutil) if name.startswith("_USE_CP_")]:
        setattr(shutil, name, False)

    def limited_mkdir(path, *args, **named):
        _check_names(path)
        return mkdir(path, *args, **named)

    def limited_fsync(file):
        descriptor = file if isinstance(file, int) else file.fileno()
        flags = _open(f"/proc/self/fdinfo/{descriptor}").read().split("flags:")[1]
        if not int(flags.split()[0], 8) & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EBADF, "Bad file descriptor")
        return fsync(descriptor)

    def no_symlink(source, target, *args, **named):
        error = OSError(errno.EINVAL, "A required privilege is not held by the client")
        error.winerror = 1314
        raise error

    os.mkdir, os.fsync, os.symlink = limited_mkdir, limited_fsync, no_symlink


def _limit_renames():
    functions = {
        name: getattr(os, name)
        for name in ("link", "remove", "rename", "replace", "rmdir", "unlink")
    }

    def rename(name):
        def limited(source, target, **named):
            _check_names(target)
            if name == "link":  # Some drives have none.
                raise OSError(errno.EPERM, "Incorrect function", str(target))
            if os.path.lexists(target):
                if name == "rename":
                    raise FileExistsError(errno.EEXIST, "exists", str(target))
                if os.path.isdir(target):
                    raise _error(_DENIED, target)
                _check_free(target)
            _check_free(source)
            return functions[name](source, target, **named)

        return limited

    def remove(name):
        def limited(path, **named):
            _check_free(path)
            return functions[name](path, **named)

        return limited

    for name in ("link", "rename", "replace"):
        setattr(os, name, rename(name))
    for name in ("remove", "rmdir", "unlink"):
        setattr(os, name, remove(name))


_open, _os_open = io.open, os.open


def _caller():
    """Name of the module that called a wrapper below, without the standard library."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__", "").split(".")[0] in ("pathlib", "tempfile"):
        frame = frame.f_back
    return frame.f_globals.get("__name__", "")


def _limit_open():
    def limited(
        file,
        mode="r",
        buffering=-1,
        encoding=None,
        errors=None,
        newline=None,
        *rest,
        **named,
    ):
        ours = _caller().startswith("bt_keras")
        writes = any(letter in mode for letter in "wax+")
        if writes:
            _check_names(file)
        if ours and str(file).startswith(("/proc/", "/sys/")):
            raise FileNotFoundError(errno.ENOENT, "No such file", file)
        if "b" not in mode:
            assert encoding or not ours, f"{file} is opened without an encoding"
            encoding = encoding or "cp1252"
            newline = "\r\n" if writes and newline is None else newline
        return _open(file, mode, buffering, encoding, errors, newline, *rest, **named)

    def limited_descriptor(path, flags, *args, **named):
        if os.path.isdir(path):
            raise _error(_DENIED, path)
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            _check_names(path)
        return _os_open(path, flags, *args, **named)

    builtins.open = io.open = limited
    os.open = limited_descriptor
