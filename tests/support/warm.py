"""Commands that start in a blink: a process that has loaded what they import forks for each.

Most of what a test of the workflow costs is the loading of modules: three seconds for every
Snakemake, half a second for every stub of a stage. A server loads them once. What it forks for a
command has the arguments, the folder, the environment and the standard streams of who called, and
ends as a process of its own would; only its modules are there already. Limits, mask and process
group are the server's, and of a caller that dies the command gets SIGTERM. Tests of how a command
itself starts have no use for this.

Run as ``warm.py SOCKET MODULE...`` it is the server, which ends with its standard input.
"""

import ast
import atexit
import contextlib
import gc
import importlib
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

# What stands in place of a command: it hands itself over, and ends as the command does. It loads
# no more than it must.
CLIENT = r"""
import os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"."], [0, 1, 2])
    told = ascii((sys.argv[2:], os.getcwd(), dict(os.environ))).encode()
    server.sendall(b"%d\n%b" % (len(told), told))
    code = server.recv(1)
sys.exit(code[0] if code else 1)
"""


class Warm:
    """A server that is up."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def command(self, entry: str, *arguments: str) -> list[str]:
        """The command line in place of one that calls ``entry``, a ``module:function``."""
        client = str(self._place.with_name("client.py"))
        return [sys.executable, "-I", "-S", client, str(self._place), entry, *arguments]

    def install(self, path: Path, entry: str, *arguments: str) -> None:
        """Write an executable that calls ``entry`` with ``arguments`` before its own."""
        words = shlex.join(self.command(entry, *arguments))
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)


@contextlib.contextmanager
def serve(*modules: str, path: Sequence[Path] = ()) -> Iterator[Warm]:
    """A server that has loaded ``modules``; those in the folders ``path`` go before others."""
    # In a folder with a short name: that of a socket has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    place = folder / "socket"
    (folder / "client.py").write_text(CLIENT)
    given = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Coverage is measured in the commands, each of which starts it for itself.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_PROCESS_")}
    with subprocess.Popen(
        [sys.executable, __file__, str(place), *modules],
        env={**environment, "PYTHONPATH": os.pathsep.join(given)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdin and server.stdout
        try:
            assert server.stdout.readline() == b"ready\n", "the server did not start"
            yield Warm(place)
        finally:
            server.stdin.close()
            shutil.rmtree(folder)


def _next(listener: socket.socket) -> list[str]:
    """Wait for commands. Returns in a child only, once for each, with what it is to run."""
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            os._exit(0)
        client, _ = listener.accept()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # gone by now
        if os.fork() == 0:
            listener.close()
            return _become(client)
        client.close()


def _become(client: socket.socket) -> list[str]:
    """In a child that waits, fork the command; returns in that, as who called it."""
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as file:
        told = file.read(int(file.readline()))
    ended, alive = os.pipe()
    command = os.fork()
    if command:
        os.close(alive)
        for stream in streams:
            os.close(stream)
        # Who called does not say any more: where there is something to read, it is gone.
        if ended not in select.select([ended, client], [], [])[0]:
            os.kill(command, signal.SIGTERM)
        code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        with contextlib.suppress(OSError):
            client.send(bytes([code % 256]))
        os._exit(0)
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    words, folder, environment = ast.literal_eval(told.decode())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    return list(words)


def main() -> None:
    place, *modules = sys.argv[1:]
    for name in modules:
        importlib.import_module(name)
    # What is loaded stays shared: no child goes through it in search of rubbish.
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        print("ready", flush=True)
        entry, *arguments = _next(listener)
    module, _, function = entry.partition(":")
    if any(name.startswith("COVERAGE_PROCESS_") for name in os.environ):
        importlib.import_module("coverage").process_startup()
    sys.path[0] = str(Path.cwd())
    sys.argv = [module, *arguments]
    _end(_call(module, function))


def _call(module: str, function: str) -> int:
    """Call the command; returns the exit code that Python would give it."""
    try:
        sys.exit(getattr(importlib.import_module(module), function)())
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1


def _end(code: int) -> None:
    """End as Python would, but without taking to pieces what is loaded, which takes longest."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code % 256)


if __name__ == "__main__":
    main()
