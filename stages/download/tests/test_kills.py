"""kill -9 at any moment: nothing half-made is left to be found, and the next run goes on.

The moments are random, but the same ones every time: SEED chooses them.
"""

import dataclasses
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import loopback
import numpy as np
import pytest
import soundfile
from loopback import Answer, Site

from vc_core import errors, files

pytestmark = pytest.mark.serial

SEED = 6
KILLS = {"start-up": 5, "download": 10, "conversion": 5}
SIZE = 240_000  # bytes of the recording, about
SPEED = 250_000  # bytes a second that the site sends of it
LOST = 40_000  # bytes that a kill may cost: what is in buffers, here and there
LIMIT = 60.0  # seconds after which a run hangs

CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nA word by a person.\n"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return vorbis(tmp_path_factory.mktemp("recording") / "talk.ogg", seed=1)


@pytest.fixture
def site(recording: bytes) -> Iterator[Site]:
    """A page with a recording, which is sent slowly, and its captions."""
    with Site() as site:
        site.add("/talk.html", loopback.video_page("/talk.ogg", {"en": "/en.vtt"}))
        site.add("/talk.ogg", media(recording))
        site.add("/en.vtt", Answer(200, CAPTIONS, "text/vtt"))
        yield site


def vorbis(path: Path, seed: int) -> bytes:
    """Noise, whose every part is unlike every other, in which a wrong splice would be heard."""
    noise = np.random.default_rng(seed).normal(scale=0.1, size=(50, 16_000))
    with soundfile.SoundFile(path, "w", 16_000, 1, "VORBIS", format="OGG") as file:
        for second in noise:
            file.write(second)
    return path.read_bytes()


def media(body: bytes) -> Answer:
    return Answer(200, body, "audio/ogg", rate=SPEED)


class Run:
    """One ``vc-download`` in a process group of its own."""

    def __init__(self, url: str, folder: Path, site: Site) -> None:
        self._site = site
        self._first = len(site.requests)
        command = [Path(sys.executable).with_name("vc-download"), url, "--language", "en"]
        self.process = subprocess.Popen(
            [*command, "--output", folder / "source.wav"],
            env={**os.environ, "DOWNLOAD_ALLOW_HOSTS": "127.0.0.1"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def requests(self) -> list[loopback.Request]:
        """What the site was asked since the start of the run."""
        return self._site.requests[self._first :]

    @property
    def media(self) -> list[loopback.Request]:
        """The answered requests for the recording itself."""
        return [row for row in self.requests if row.path == "/talk.ogg" and row.status]

    @property
    def sent(self) -> int:
        """Bytes of the recording that the site has sent to this run."""
        return sum(row.sent for row in self.media)

    def wait_for(self, event: Callable[[], Any]) -> None:
        """Return when the event is there, or the run at its end."""
        patience = time.monotonic() + LIMIT
        while self.process.poll() is None and not event():
            assert time.monotonic() < patience, "the run hangs"
            time.sleep(0.005)

    def kill(self, whole_group: bool) -> bool:
        """kill -9, the run alone or with its ffmpeg; whether it was still running."""
        if self.process.poll() is None:
            (os.killpg if whole_group else os.kill)(self.process.pid, signal.SIGKILL)
        _, said = self.process.communicate()
        assert self.process.returncode in (errors.OK, -signal.SIGKILL), said
        return self.process.returncode == -signal.SIGKILL

    def end(self) -> None:
        _, said = self.process.communicate(timeout=LIMIT)
        assert self.process.returncode == errors.OK, said


@dataclasses.dataclass
class Undisturbed:
    """A run that nobody kills: what it leaves, and how long its parts take in seconds."""

    start_up: float
    conversion: float
    sha256: str
    original: str


def undisturbed(site: Site, folder: Path) -> Undisturbed:
    started = time.time()
    run = Run(site.url + "/talk.html", folder, site)
    run.end()
    ended = time.time()
    arrived = run.media[-1].time + run.media[-1].sent / SPEED
    told = files.read_json(folder / "source.json")
    return Undisturbed(
        start_up=run.requests[0].time - started,
        conversion=max(0.05, ended - arrived),
        sha256=files.sha256(folder / "source.wav"),
        original=told["original"]["sha256"],
    )


def part(folder: Path) -> int:
    """Bytes of the recording in the hidden folder beside the output."""
    hidden = [path for path in folder.glob(".*/*") if path.name in ("original", "original.part")]
    return sum(path.stat().st_size for path in hidden)


def assert_whole_or_absent(folder: Path, wanted: Undisturbed) -> None:
    wav, told, record = (folder / f"source.{end}" for end in ("wav", "json", "wav.run.json"))
    assert not wav.exists() or files.sha256(wav) == wanted.sha256
    assert not told.exists() or files.read_json(told)["audio"]["sha256"] == wanted.sha256
    assert not record.exists() or files.read_json(record)["stage"] == "download"
    captions = folder / "captions.vtt"
    assert not captions.exists() or captions.read_bytes() == CAPTIONS


def assert_complete(folder: Path, wanted: Undisturbed) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        *("captions.vtt", "source.json", "source.wav", "source.wav.run.json"),
    ]
    assert_whole_or_absent(folder, wanted)
    assert files.read_json(folder / "source.json")["original"]["sha256"] == wanted.original


def reach(moment: str, share: float, run: Run, left: int, wanted: Undisturbed) -> None:
    """Wait until a run, which lacks ``left`` bytes, is ``share`` of the way through a phase."""
    if moment == "start-up":
        time.sleep(share * wanted.start_up)
    elif moment == "download":
        run.wait_for(lambda: run.sent >= share * left)
    else:
        run.wait_for(lambda: run.requests and run.sent >= left)
        time.sleep(share * wanted.conversion)


def asked_for_the_rest(run: Run, there: int, size: int) -> bool:
    """Whether a run went on where the ``there`` bytes end that an earlier one has left."""
    if not run.media or not 0 < there < size:
        return False
    assert [run.media[0].status, run.media[0].range_start] == [206, there]
    return True


def test_whatever_kill_9_leaves_the_next_run_makes_whole(
    site: Site, recording: bytes, tmp_path: Path
) -> None:
    url, size, chance = site.url + "/talk.html", len(recording), random.Random(SEED)
    moments = [name for name, kills in KILLS.items() for _ in range(kills)]
    chance.shuffle(moments)
    wanted = undisturbed(site, tmp_path / "undisturbed")
    assert wanted.original == hashlib.sha256(recording).hexdigest()
    assert_complete(tmp_path / "undisturbed", wanted)

    folder, served, kills, completed, resumed, done = tmp_path / "killed", 0, 0, 0, 0, False
    while moments or not done:
        there, run = part(folder), Run(url, folder, site)
        if not moments or (moments[-1] == "download" and there == size):
            run.end()
        else:
            reach(moments[-1], chance.random(), run, size - there, wanted)
            if run.kill(whole_group=chance.random() < 0.5):
                moments.pop()
                kills += 1
        assert_whole_or_absent(folder, wanted)
        resumed += asked_for_the_rest(run, there, size)
        served += run.sent
        done = run.process.returncode == errors.OK
        if done:
            assert_complete(folder, wanted)
            shutil.rmtree(folder)
            completed += 1
    assert resumed >= KILLS["download"] // 2, "too few of the kills came in mid-download"
    assert served <= completed * size + kills * LOST, f"{completed} downloads, {kills} kills"


@pytest.mark.parametrize("validator", ["etag", "last_modified", "none"])
def test_a_recording_that_changed_after_the_kill_is_fetched_whole(
    site: Site, recording: bytes, tmp_path: Path, validator: str
) -> None:
    marks: dict[str, list[dict[str, Any]]] = {
        "etag": [{}, {}],
        "last_modified": [{"etag": "", "last_modified": 1e9 + day} for day in (0, 86_400)],
        "none": [{"etag": ""}, {"etag": ""}],
    }
    before, after = marks[validator]
    # As long as the old one, so that its length gives nothing away.
    other = vorbis(tmp_path / "other.ogg", seed=2)[: len(recording)].ljust(len(recording), b"\0")
    site.add("/talk.ogg", dataclasses.replace(media(recording), **before))
    folder = tmp_path / "out"
    run = Run(site.url + "/talk.html", folder, site)
    run.wait_for(lambda: part(folder) > SIZE // 4)
    assert run.kill(whole_group=True)

    site.add("/talk.ogg", dataclasses.replace(media(other), **after))
    Run(site.url + "/talk.html", folder, site).end()
    told = files.read_json(folder / "source.json")
    assert told["original"]["sha256"] == hashlib.sha256(other).hexdigest()
    assert told["audio"]["sha256"] == files.sha256(folder / "source.wav")
