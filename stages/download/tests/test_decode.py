"""``decode.to_wav``: sections to the sample, honest about what is missing, nothing left running."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import errors
from vc_download import decode

RATE = 44_100
HOURS = 20 / 60  # three hours cost a minute of machine time; what memory shows does not differ
MEMORY = 300  # MB


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """Ten seconds in which every sample says where it stands: n modulo 30,000, of 16 bits."""
    path = tmp_path / "ramp.wav"
    n = np.arange(10 * RATE) % 30_000
    soundfile.write(path, np.stack([n, -n], axis=1).astype(np.int16), RATE)
    return path


def to_wav(path: Path, **options: float) -> tuple[decode.Decoded, np.ndarray]:
    wav = path.with_name("out.wav")
    chosen = {"rate": RATE, "channels": 2} | options
    found = decode.to_wav(path, wav, source="talk", **chosen)
    return found, soundfile.read(wav, dtype="int16", always_2d=True)[0]


def why_not(path: Path, **options: float) -> errors.StageError:
    with pytest.raises(errors.StageError) as failed:
        to_wav(path, **options)
    said = str(failed.value)
    assert len(said.splitlines()) == 1
    assert said.startswith("talk: ")
    assert str(path) not in said
    return failed.value


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (0, 1), (3.3, 4.4), (9.9995, None), (2.000_01, 2.000_1)]
)
@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a"])
def test_a_section_is_cut_to_the_sample(
    ramp: Path, suffix: str, start: float | None, end: float | None
) -> None:
    path = ramp.with_suffix(f".{suffix}")
    if suffix != "wav":
        ffmpeg("-i", ramp, *(["-c:a", "alac"] if suffix == "m4a" else []), path)
    found, sound = to_wav(path, start=start, end=end)
    whole = soundfile.read(ramp, dtype="int16")[0]
    first = round((start or 0) * RATE)
    np.testing.assert_array_equal(sound, whole[first : round((end or 10) * RATE)])
    assert found.frames == len(sound)
    assert found.warnings == ()
    assert not found.truncated
    assert found.found == (10 if end is None else None)


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus", "m4a", "mkv", "aac"])
def test_a_section_is_the_same_part_of_the_whole(ramp: Path, suffix: str) -> None:
    path = ramp.with_suffix(f".{suffix}")
    ffmpeg("-i", ramp, path)
    _, whole = to_wav(path)
    found, part = to_wav(path, start=2.5, end=7.25)
    np.testing.assert_array_equal(part, whole[round(2.5 * RATE) : round(7.25 * RATE)])
    assert found.frames == round(4.75 * RATE)


def test_a_section_beyond_the_end_ends_there(ramp: Path) -> None:
    found, sound = to_wav(ramp, start=8, end=12)
    assert len(sound) == 2 * RATE
    assert found.found == 10
    (warning,) = found.warnings
    assert warning.startswith("talk: ends at 10.000 s")
    assert not found.truncated


def test_a_section_after_the_end_is_refused_with_the_length(ramp: Path) -> None:
    for suffix in ("wav", "mp3"):
        path = ramp.with_suffix(f".{suffix}")
        ffmpeg("-i", ramp, path) if suffix == "mp3" else None
        refused = why_not(path, start=60, end=70)
        assert refused.exit_code == errors.BAD_INPUT
        assert re.search(r"starts at 60 s, but the recording ends at 10\.\d+ s", str(refused))
    assert "no later" in str(why_not(ramp, start=5, end=5))


@pytest.mark.parametrize("joined", ["mp3", "ogg"])
def test_sections_of_recordings_that_change_on_the_way(tmp_path: Path, joined: str) -> None:
    """As podcasts do into which advertisements are spliced: mono speech, stereo music."""
    parts = []
    for hertz, rate, channels in ((300, 22_050, 1), (1200, 44_100, 2)):
        part = tmp_path / f"{hertz}.{joined}"
        tone = ["-f", "lavfi", "-i", f"sine={hertz}:duration=3:sample_rate={rate}"]
        ffmpeg(*tone, "-ac", str(channels), "-write_xing", "0", part) if joined == "mp3" else (
            ffmpeg(*tone, "-ac", str(channels), part)
        )
        parts.append(part.read_bytes())
    path = tmp_path / f"joined.{joined}"
    path.write_bytes(b"".join(parts))
    _, whole = to_wav(path)
    assert len(whole) / RATE == pytest.approx(6, abs=0.2)
    _, part = to_wav(path, start=2, end=5)
    np.testing.assert_array_equal(part, whole[2 * RATE : 5 * RATE])
    assert sorted(item.name for item in tmp_path.glob("*whole*")) == []


@pytest.mark.parametrize("suffix", ["wav", "flac", "mka", "m4a", "aiff", "wv"])
def test_a_file_cut_short_is_told(ramp: Path, suffix: str) -> None:
    whole, short = ramp.with_name(f"whole.{suffix}"), ramp.with_name(f"short.{suffix}")
    options = ["-movflags", "+faststart"] if suffix == "m4a" else []
    ffmpeg("-i", ramp, *options, whole)
    stored = whole.read_bytes()
    short.write_bytes(stored[: len(stored) * 6 // 10])

    found, _ = to_wav(whole)
    assert (found.truncated, found.announced) == (False, pytest.approx(10, abs=0.05))
    found, sound = to_wav(short)
    assert found.truncated
    assert found.announced == pytest.approx(10, abs=0.05)
    assert found.found == pytest.approx(len(sound) / RATE)
    assert 4 < found.found < 8
    # Not of a section that is all there.
    assert not to_wav(short, start=1, end=3)[0].truncated
    assert to_wav(short, start=1, end=9)[0].truncated


def test_a_length_that_is_only_inferred_is_no_more_than_a_doubt(ramp: Path) -> None:
    whole, short = ramp.with_name("whole.mp3"), ramp.with_name("short.mp3")
    ffmpeg("-i", ramp, whole)
    short.write_bytes(whole.read_bytes()[:-100_000])
    assert to_wav(whole)[0].warnings == ()
    found, _ = to_wav(short)
    assert (found.truncated, found.announced) == (False, None)
    assert "may be incomplete" in found.warnings[0]


def test_a_film_longer_than_its_sound_is_not_cut_short(ramp: Path) -> None:
    picture = ["-f", "lavfi", "-i", "color=size=32x32:duration=20"]
    for suffix in ("mkv", "mp4"):
        film = ramp.with_suffix(f".{suffix}")
        ffmpeg(*picture, "-i", ramp, film)
        found, _ = to_wav(film)
        assert not found.truncated
        assert found.frames / RATE == pytest.approx(10, abs=0.05)


def test_a_part_copied_out_of_a_longer_file_is_whole(ramp: Path) -> None:
    long, part = ramp.with_name("long.m4a"), ramp.with_name("part.m4a")
    ffmpeg("-i", ramp, long)
    ffmpeg("-ss", "3.3", "-i", long, "-t", "4", "-c", "copy", part)
    found, _ = to_wav(part)
    assert not found.truncated
    assert found.frames / RATE == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize(("there", "wanted"), [(1, 1), (1, 2), (2, 2), (2, 1)])
def test_one_and_two_channels_keep_their_level(tmp_path: Path, there: int, wanted: int) -> None:
    path = tmp_path / "talk.wav"
    full = (32_000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.int16)
    soundfile.write(path, np.stack([full] * there, axis=1), RATE)
    _, sound = to_wav(path, channels=wanted)
    assert sound.shape == (RATE, wanted)
    for channel in sound.T.astype(int):
        assert np.abs(channel - full).max() <= 1


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8, 12, 16, 32])
@pytest.mark.parametrize("wanted", [1, 2])
def test_microphones_of_which_nobody_knows_the_place_are_averaged(
    tmp_path: Path, channels: int, wanted: int
) -> None:
    path = tmp_path / "array.wav"
    rng = np.random.default_rng(channels)
    microphones = rng.integers(-32_768, 32_767, (RATE, channels)).astype(np.int16)
    soundfile.write(path, microphones, RATE)
    _, sound = to_wav(path, channels=wanted)
    mean = microphones.mean(axis=1)
    for channel in sound.T:
        assert np.abs(channel - mean).max() <= 1


@pytest.mark.parametrize("layout", ["2.1", "quad", "5.0", "5.1", "6.1", "7.1", "7.1(wide)"])
def test_loudspeakers_are_mixed_without_clipping(tmp_path: Path, layout: str) -> None:
    path, raw = tmp_path / "film.wav", tmp_path / "film.raw"
    loud = 32_000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.stack([loud.astype("<i2")] * _count(layout), axis=1).tofile(raw)
    ffmpeg("-f", "s16le", "-ar", str(RATE), "-ch_layout", layout, "-i", raw, path)
    _, sound = to_wav(path)
    steepest = 32_768 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(sound.astype(int), axis=0)).max() <= steepest
    assert 0.3 * 32_768 < sound.max() <= 32_010


def _count(layout: str) -> int:
    return 4 if layout == "quad" else sum(map(int, re.findall(r"\d", layout)))


def test_a_full_disk_is_told_as_such(ramp: Path) -> None:
    with pytest.raises(errors.TryAgainError) as failed:
        decode.to_wav(ramp, Path("/dev/full"), source="talk", rate=RATE, channels=2)
    assert failed.value.details["reason"] == "disk_full"


@pytest.mark.parametrize("start", [0, 2])
def test_writing_stops_soon_after_the_longest_that_is_wanted(ramp: Path, start: float) -> None:
    """Else a few bytes that hold days of silence would fill the disk."""
    found, sound = to_wav(ramp, start=start, longest=3)
    assert 3 < len(sound) / RATE <= 4.2
    assert found.frames == len(sound)
    assert to_wav(ramp, longest=10)[0].frames == 10 * RATE


def test_a_recording_damaged_in_the_middle_ends_no_worse_than_shorter(ramp: Path) -> None:
    damaged = ramp.with_name("damaged.flac")
    noise = np.random.default_rng(3).normal(0, 0.1, 10 * RATE)
    soundfile.write(damaged, noise, RATE)
    stored = bytearray(damaged.read_bytes())
    stored[len(stored) // 4 : len(stored) // 2] = bytes(len(stored) // 2 - len(stored) // 4)
    damaged.write_bytes(stored)
    found, sound = to_wav(damaged)
    assert found.truncated
    assert 0 < len(sound) < 9 * RATE


RUN = (
    "import signal, sys\n"
    "from pathlib import Path\n"
    "from vc_download import decode\n"
    "def stop(*_): raise KeyboardInterrupt\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "path, wav = map(Path, sys.argv[1:])\n"
    "done = decode.to_wav(path, wav, source='talk', rate=44100, channels=2)\n"
    "print(done.frames)\n"
)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes of a tone and silence by turns, in MP3."""
    folder = tmp_path_factory.mktemp("long")
    minute, path = folder / "minute.wav", folder / "long.mp3"
    ffmpeg("-f", "lavfi", "-i", "sine=440:d=60,volume=2*lt(mod(t\\,2)\\,1):eval=frame", minute)
    again = str(round(60 * HOURS) - 1)
    ffmpeg("-stream_loop", again, "-i", minute, "-b:a", "64k", "-compression_level", "9", path)
    return path


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


@pytest.mark.serial
def test_sigterm_leaves_no_ffmpeg_running(long: Path, tmp_path: Path) -> None:
    wav = tmp_path / "out.wav"
    command = [sys.executable, "-c", RUN, str(long), str(wav)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        watchdog = threading.Timer(60, running.kill)
        watchdog.start()
        # It decodes as soon as there is some of the WAV.
        while running.poll() is None and not (wav.exists() and wav.stat().st_size):
            time.sleep(0.01)
        (program,) = children(running.pid)
        running.send_signal(signal.SIGTERM)
        running.wait()
        watchdog.cancel()
    assert not Path(f"/proc/{program}").exists()


@pytest.mark.serial
def test_long_recordings_need_little_memory(long: Path, tmp_path: Path) -> None:
    wav = tmp_path / "out.wav"
    # What a process needed at most, and what that of its children did which needed most.
    code = RUN + (
        "import re, resource\n"
        "from pathlib import Path\n"
        # Its own by /proc: what getrusage says counts from before the exec, when it was pytest.
        "said = Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+) kB', said)[1]) // 1024)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
    )
    command = [sys.executable, "-c", code, str(long), str(wav)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    frames, own, childs = map(int, said.split())
    assert own + childs < MEMORY
    assert frames / RATE == pytest.approx(3600 * HOURS, abs=0.05)
    assert soundfile.info(wav).frames == frames


def test_progress_is_shown_on_a_terminal_only(
    ramp: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    to_wav(ramp)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("logging.Logger.isEnabledFor", lambda *_: True)
    to_wav(ramp)
    out, err = capfd.readouterr()
    assert out == ""
    assert "decode" in err
    assert "10/10" in err
