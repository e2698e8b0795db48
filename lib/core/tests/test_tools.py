"""Programs are waited for, quoted when they fail, and never left running."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vc_core import tools


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_are_handed_on_as_they_come() -> None:
    heard: list[str] = []
    tools.follow(python("for n in range(3): print(n, flush=True)"), heard.append)
    assert heard == ["0\n", "1\n", "2\n"]


def test_a_program_that_fails_on_its_way_is_quoted() -> None:
    with pytest.raises(tools.ToolError, match=r"failed \(4\): last but one \| last word$"):
        tools.follow(
            python("import sys; sys.stderr.write('x\\nlast but one\\nlast word\\n'); sys.exit(4)"),
            lambda _: None,
        )


def test_complaints_without_end_neither_block_nor_fill_the_message() -> None:
    code = "import sys; [print('trouble', file=sys.stderr) for _ in range(200_000)]; sys.exit(1)"
    with pytest.raises(tools.ToolError) as failed:
        tools.follow(python(code), lambda _: None)
    assert len(str(failed.value)) < 200


def test_what_is_not_installed_is_named() -> None:
    for call in (tools.run, lambda c: tools.follow(c, lambda _: None)):
        with pytest.raises(tools.MissingToolError, match="no-such-program: not installed"):
            call(["no-such-program"])


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, ValueError])
def test_a_program_ends_with_who_waits_for_it(
    tmp_path: Path, stopped_by: type[BaseException]
) -> None:
    alive = tmp_path / "alive"
    code = (
        "import pathlib, sys, time\n"
        "print('up', flush=True)\n"
        "while True: pathlib.Path(sys.argv[1]).touch(); time.sleep(0.02)\n"
    )

    def stop(_: str) -> None:
        raise stopped_by

    with pytest.raises(stopped_by):
        tools.follow([*python(code), str(alive)], stop)
    alive.unlink(missing_ok=True)
    time.sleep(0.2)
    assert not alive.exists()


@pytest.mark.serial
def test_sigterm_ends_the_program_too(tmp_path: Path) -> None:
    """A stage that is told to stop while it waits takes its program along."""
    code = (
        "import signal, sys\n"
        "from vc_core import tools\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "tools.follow([sys.executable, '-c', sys.argv[1]], lambda line: print(line, flush=True))\n"
    )
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen(
        [*python(code), inner], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as waiting:
        assert waiting.stdout is not None
        watchdog = threading.Timer(60, waiting.kill)
        watchdog.start()
        program = int(waiting.stdout.readline())
        waiting.terminate()
        waiting.wait()
        watchdog.cancel()
    assert not Path(f"/proc/{program}").exists()


def test_words_of_strangers_stay_on_one_line() -> None:
    said = "\x1b[31mred\r\n[hls @ 0x55d0c0ffee00] a\tb \u202egnp.exe\x00"
    assert tools.last_words(said) == "[31mred | [hls] a b  gnp.exe"
    assert tools.printable("a\u2028b") == "a b"
    assert tools.printable("héllo 👩‍👧 می‌روم") == "héllo 👩‍👧 می‌روم"
