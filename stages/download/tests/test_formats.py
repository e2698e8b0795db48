"""Whatever form a recording comes in, its WAV has its length, its sound and its level.

A test encodes a known sound, lets ``decode.to_wav`` make 44.1 kHz stereo of it, and compares.
"""

import functools
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from vc_core import audio, errors
from vc_download import decode

RATE, CHANNELS = 44_100, 2
HERTZ, LEVEL = 440.0, 0.5
LENGTH = 0.05  # seconds that the length may be off

# Where nothing in the file says how much the codec has added before and after, it stays: up to
# three blocks. Above 22.05 kHz that is less than LENGTH; the slowest of all have it here, in
# samples of theirs.
UNTOLD = 2_048

Sound = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """A way to store sound: its suffix, ffmpeg's options for it, what may be asked of it."""

    suffix: str
    options: str
    lossless: bool = False
    rate: int = 44_100
    told: bool = True  # whether the file says where the sound starts and ends


FORMS = {
    "mp3 cbr": Form("mp3", "-c:a libmp3lame -b:a 128k"),
    "mp3 vbr": Form("mp3", "-c:a libmp3lame -q:a 4"),
    "mp3 vbr without xing": Form("mp3", "-c:a libmp3lame -q:a 4 -write_xing 0", told=False),
    "mp3 bare": Form("mp3", "-c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0", told=False),
    "m4a": Form("m4a", "-c:a aac -b:a 160k"),
    "m4a in fragments": Form(
        "m4a", "-c:a aac -aac_coder fast -b:a 160k -movflags frag_keyframe+empty_moov", told=False
    ),
    "m4a lossless": Form("m4a", "-c:a alac", lossless=True),
    "aac adts": Form("aac", "-c:a aac -aac_coder fast -b:a 160k", told=False),
    "opus": Form("opus", "-c:a libopus", rate=48_000),
    "webm": Form("webm", "-c:a libopus", rate=48_000),
    "vorbis": Form("ogg", "-c:a libvorbis"),
    "mkv": Form("mkv", "-c:a libvorbis"),
    "mkv flac": Form("mkv", "-c:a flac", lossless=True),
    "flac": Form("flac", "-c:a flac", lossless=True),
    "wavpack": Form("wv", "-c:a wavpack", lossless=True),
    "wma": Form("wma", "-c:a wmav2 -b:a 128k"),
    "ac3": Form("ac3", "-c:a ac3", told=False, rate=48_000),
    "wav 8": Form("wav", "-c:a pcm_u8"),
    "wav 16": Form("wav", "-c:a pcm_s16le", lossless=True),
    "wav 24": Form("wav", "-c:a pcm_s24le", lossless=True),
    "wav 32": Form("wav", "-c:a pcm_s32le", lossless=True),
    "wav float": Form("wav", "-c:a pcm_f32le", lossless=True),
    "wav double": Form("wav", "-c:a pcm_f64le", lossless=True),
    "a-law": Form("wav", "-c:a pcm_alaw", rate=8_000),
    "mu-law": Form("au", "-c:a pcm_mulaw", rate=8_000),
    "aiff": Form("aiff", "-c:a pcm_s16be", lossless=True),
    "caf": Form("caf", "-c:a pcm_s16be", lossless=True),
    "amr": Form("amr", "-c:a libopencore_amrnb -ac 1", rate=8_000),
    "gsm": Form("gsm", "-c:a libgsm -ac 1", rate=8_000),
    "speex": Form("spx", "-c:a libspeex", rate=16_000),
}

# With a picture that moves beside the sound.
FILMS = {
    "mp4 film": Form("mp4", "-c:a aac -aac_coder fast -b:a 160k"),
    "mkv film": Form("mkv", "-c:a libopus", rate=48_000),
    "webm film": Form("webm", "-c:a libvorbis"),
    "mpeg-ts film": Form("ts", "-c:a aac -aac_coder fast -b:a 160k", told=False),
    "avi film": Form("avi", "-c:a libmp3lame", told=False),
}

Encode = Callable[..., Path]


@functools.cache
def encoders() -> str:
    command = ["ffmpeg", "-v", "error", "-encoders"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """Stores a sound, [frames] or [frames, channels], in a form; skips where nothing writes it."""

    def stored(form: Form, sound: Sound, rate: int, *more: str, film: bool = False) -> Path:
        if form.options.split()[1] not in encoders():
            pytest.skip(f"this ffmpeg has no {form.options.split()[1]}")
        plain, path = tmp_path / "plain.wav", tmp_path / f"recording.{form.suffix}"
        # libsndfile writes no mask of channels: ffmpeg takes the usual layout for that number.
        soundfile.write(plain, sound, rate, subtype="DOUBLE")
        picture = ["-f", "lavfi", "-i", f"color=size=32x32:duration={len(sound) / rate}"]
        ffmpeg(*(picture if film else []), "-i", plain, *form.options.split(), *more, path)
        return path

    return stored


def tone(seconds: float, rate: int, channels: int = 1) -> Sound:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([LEVEL * np.sin(2 * np.pi * HERTZ * time)] * channels, axis=1)


def decoded(path: Path, seconds: float, slack: float = LENGTH) -> Sound:
    """The WAV of ``path``, [frames, 2], after its form and length have been checked."""
    wav = path.with_name("decoded.wav")
    result = decode.to_wav(path, wav, source="talk", rate=RATE, channels=CHANNELS)
    info = soundfile.info(wav)
    assert (info.samplerate, info.channels, info.subtype) == (RATE, CHANNELS, "PCM_16")
    assert info.frames == result.frames
    assert not result.truncated
    assert abs(info.duration - seconds) <= slack, (
        f"off by {1000 * (info.duration - seconds):.1f} ms"
    )
    return soundfile.read(wav)[0]


def level(sound: Sound) -> float:
    """The amplitude of a tone."""
    return float(np.sqrt(2) * sound.std())


def pitch(sound: Sound) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * RATE / len(sound))


def assert_tone(sound: Sound, expected: float = LEVEL, off: float = 0.06) -> None:
    # Away from the ends, where codecs fade in and out.
    middle = sound[len(sound) // 4 : -len(sound) // 4]
    for channel in middle.T:
        assert pitch(channel) == pytest.approx(HERTZ, abs=1 + RATE / len(channel))
        assert level(channel) == pytest.approx(expected, rel=off)


@pytest.mark.parametrize("seconds", [0.1, 30.0])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_keeps_its_length_and_sound(encode: Encode, name: str, seconds: float) -> None:
    form = FORMS[name]
    path = encode(form, tone(seconds, form.rate), form.rate)
    sound = decoded(path, seconds)
    if seconds > 0.1:
        assert_tone(sound)
    else:
        assert level(sound) > LEVEL / 3


@pytest.mark.parametrize("name", FILMS)
def test_the_sound_of_a_film_is_taken(encode: Encode, name: str) -> None:
    form = FILMS[name]
    assert_tone(decoded(encode(form, tone(2.0, form.rate), form.rate, film=True), 2.0))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("name", ["wav 16", "flac", "vorbis"])
def test_every_rate_becomes_44100(encode: Encode, name: str, rate: int) -> None:
    form = FORMS[name]
    assert_tone(decoded(encode(form, tone(1.0, rate), rate), 1.0))


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize(
    "name", ["mp3 vbr without xing", "m4a", "m4a in fragments", "aac adts", "wma"]
)
def test_low_rates_in_blocks_are_cut_to_length_where_the_file_tells_it(
    encode: Encode, name: str, rate: int
) -> None:
    form = FORMS[name]
    slack = LENGTH if form.told else max(LENGTH, UNTOLD / rate)
    assert_tone(decoded(encode(form, tone(2.0, rate), rate, "-b:a", "32k"), 2.0, slack), off=0.12)


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("name", ["wav 16", "m4a", "opus"])
def test_one_to_eight_channels_become_two(encode: Encode, name: str, channels: int) -> None:
    form = FORMS[name]
    # libopus has no layout of its own for 2.1 and 4.0: then nobody knows which channel is which.
    more = ["-mapping_family", "255"] if "libopus" in form.options and channels in (3, 4) else []
    sound = decoded(encode(form, tone(1.0, form.rate, channels), form.rate, *more), 1.0)
    middle = sound[RATE // 4 : -RATE // 4]
    # The same in all channels: mixed down it can lose what a subwoofer had, and clips nowhere.
    for side in middle.T:
        assert pitch(side) == pytest.approx(HERTZ, abs=2)
        assert LEVEL / 3 <= level(side) <= LEVEL * 1.1
    if channels <= 2:
        assert_tone(sound)


LOSSLESS = [(name, 44_100) for name, form in FORMS.items() if form.lossless]


@pytest.mark.parametrize(("name", "rate"), [*LOSSLESS, ("wav 16", 16_000), ("flac", 48_000)])
def test_lossless_forms_lose_nothing(encode: Encode, name: str, rate: int) -> None:
    # Noise up to 4 kHz: resamplers may differ at the upper edge, and nowhere else.
    narrow = np.random.default_rng(7).normal(0, 0.1, (8_000, 2)).astype(np.float32)
    noise = audio.resample(narrow * np.float32([1, 0.5]), 8_000, rate)
    heard = decoded(encode(FORMS[name], noise, rate), 1.0)
    if rate == RATE:
        np.testing.assert_allclose(heard, noise, atol=1.01 / 32_768)
    else:
        expected = audio.resample(noise, rate, RATE)
        for side in range(2):
            assert np.corrcoef(heard[:, side], expected[:, side])[0, 1] > 0.9999


LOSSY = ["mp3 cbr", "m4a", "opus", "wma", "wav 8", "a-law"]


@pytest.mark.parametrize("name", ["flac", "wav float", *LOSSY])
def test_silence_stays_silence(encode: Encode, name: str) -> None:
    form = FORMS[name]
    sound = decoded(encode(form, np.zeros((form.rate, 2)), form.rate), 1.0)
    # 8 bits and A-law have no zero: their smallest step is what is left.
    assert np.abs(sound).max() <= {"wav 8": 1 / 128, "a-law": 1 / 2048}.get(name, 1 / 32_768)


@pytest.mark.parametrize("name", ["flac", "wav 16", "wav 24", "wav float", "wav 8", "aiff"])
def test_a_constant_stays_where_it_is(encode: Encode, name: str) -> None:
    form = FORMS[name]
    sound = decoded(encode(form, np.full((form.rate, 2), 0.25), form.rate), 1.0)
    assert np.abs(sound - 0.25).max() < (0.01 if name == "wav 8" else 1e-4)


@pytest.mark.parametrize("name", LOSSY)
def test_a_constant_in_a_lossy_form_decodes(encode: Encode, name: str) -> None:
    form = FORMS[name]
    sound = decoded(encode(form, np.full((form.rate, 2), 0.25), form.rate), 1.0)
    # Some codecs let it decay, as a high-pass does; none may make it more than edges ring.
    assert np.abs(sound).max() < 0.5


@pytest.mark.parametrize("name", ["flac", "wav float", *LOSSY])
def test_what_was_clipped_does_not_wrap_round(encode: Encode, name: str) -> None:
    form = FORMS[name]
    clipped = np.clip(8 * tone(1.0, form.rate, 2), -1, 1)
    middle = decoded(encode(form, clipped, form.rate), 1.0)[RATE // 4 : -RATE // 4]
    # Half a wave is high, the other low: a sample that wrapped round would stand out.
    expected = np.sign(np.sin(2 * np.pi * HERTZ * np.arange(len(middle)) / RATE))
    agree = max(
        np.mean(np.sign(middle[:, 0]) == np.roll(expected, lag)) for lag in range(RATE // 440 + 1)
    )
    assert agree > 0.97
    assert np.abs(middle).max() > 0.9


def test_float_beyond_full_scale_is_clipped_not_wrapped(encode: Encode) -> None:
    sound = decoded(encode(FORMS["wav float"], 4 * tone(1.0, RATE, 2), RATE), 1.0)
    assert sound.max() == pytest.approx(1, abs=1e-4)
    assert sound.min() == -1
    assert np.abs(np.diff(sound[:, 0])).max() < 0.2


TAGS = {
    "odd letters": ["title=🎤👩‍👧 Ω", "artist=first\nsecond\r\nthird", "album=a\x01b\x1b[31mc\x7f"],
    "long": ["title=" + "t" * 100_000],
    "path": ["title=../../etc/passwd", "artist=/etc/passwd", "album=$(id)`id`%s%n"],
    "not text": [b"title=\xff\xfe\xc3\x28".decode("utf-8", "surrogateescape")],
}


@pytest.mark.parametrize("kind", TAGS)
@pytest.mark.parametrize("name", ["mp3 vbr", "m4a", "opus", "flac"])
def test_odd_tags_do_no_harm(encode: Encode, name: str, kind: str) -> None:
    form = FORMS[name]
    said = [part for tag in TAGS[kind] for part in ("-metadata", tag)]
    path = encode(form, tone(1.0, form.rate), form.rate, *said)
    assert_tone(decoded(path, 1.0))


def sphere(path: Path, samples: npt.NDArray[np.int16], rate: int, order: str) -> None:
    """A NIST SPHERE file, as corpora of speech have them; ``order`` of bytes is 01 or 10."""
    header = (
        f"NIST_1A\n   1024\nsample_count -i {len(samples)}\nsample_rate -i {rate}\n"
        f"channel_count -i 1\nsample_n_bytes -i 2\nsample_sig_bits -i 16\n"
        f"sample_byte_format -s2 {order}\nsample_coding -s3 pcm\nend_head\n"
    )
    stored = samples.astype("<i2" if order == "01" else ">i2").tobytes()
    path.write_bytes(header.encode().ljust(1024) + stored)


@pytest.mark.parametrize("order", ["01", "10"])
@pytest.mark.parametrize("seconds", [0.1, 1.0, 30.0])
def test_nist_sphere(tmp_path: Path, seconds: float, order: str) -> None:
    path = tmp_path / "recording.sph"
    samples = (tone(seconds, 16_000)[:, 0] * 32_767).astype(np.int16)
    sphere(path, samples, 16_000, order)
    sound = decoded(path, seconds)
    if seconds > 0.1:
        assert_tone(sound)


def test_a_wav_from_a_pipe_that_did_not_know_its_length(encode: Encode, tmp_path: Path) -> None:
    whole = encode(FORMS["wav 16"], tone(1.0, RATE), RATE).read_bytes()
    at = whole.index(b"data") + 4
    for size in (0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000):
        piped = tmp_path / "piped.wav"
        piped.write_bytes(whole[:at] + struct.pack("<I", size) + whole[at + 4 :])
        assert_tone(decoded(piped, 1.0))


NO_RECORDINGS = {
    "empty": b"",
    "text": b"Dear reader,\n" * 100,
    "page": b"<!DOCTYPE html><html><body><audio src='talk.mp3'></audio></body></html>",
    "noise": np.random.default_rng(1).bytes(50_000),
    "zeros": bytes(50_000),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "header only": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0"
    b"data\0\0\0\0",
    "header cut off": b"RIFF\x24\0\0\0WAVEfmt ",
    "flac without sound": b"fLaC" + bytes([0x80, 0, 0, 34]) + bytes(34),
}


@pytest.mark.parametrize("kind", NO_RECORDINGS)
def test_what_is_no_recording_is_told_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "secret-temporary-name.mp3"
    path.write_bytes(NO_RECORDINGS[kind])
    with pytest.raises(errors.InputError) as failed:
        decode.to_wav(path, tmp_path / "out.wav", source="talk", rate=RATE, channels=CHANNELS)
    said = str(failed.value)
    assert said.startswith("talk: ")
    assert said.count("talk: ") == 1
    assert len(said.splitlines()) == 1
    assert "secret-temporary-name" not in said
    assert failed.value.details["reason"] == "no_audio"
