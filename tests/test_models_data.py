"""The training speech of the small models: what can be shown without any voice installed."""

import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from models.data import clips, lexicon, make, music, real, texts  # noqa: E402
from models.data.clips import Row, Take  # noqa: E402

from vc_common import manifests  # noqa: E402
from vc_common.audio import TTS_RATE as RATE  # noqa: E402
from vc_common.whisper import HeardWord  # noqa: E402

KINDS = sorted({kind for columns in lexicon.COLUMNS.values() for kind in columns if kind})
SYLLABLES = [a + b for a in "bdfgjklmnprstvwz" for b in ("e", "il", "ot")]
LEXICON = {
    kind: [f"{one}{two}{kind[:2]}" for one in SYLLABLES for two in SYLLABLES] for kind in KINDS
}


def some(split: str, seed: int, count: int = 400) -> list[str]:
    return list(itertools.islice(texts.stream(split, seed, LEXICON), count))


def voiced(seconds: float, hertz: float = 150.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def fake_takes(count: int) -> list[Take]:
    """Good takes, the last one too short."""
    made = [
        Take(f"{n:06d}", f"fake-{n % 2}", f"Number {n}.", voiced(1 + n / 10)) for n in range(count)
    ]
    return [*made, Take("999999", "fake-0", "Oh.", voiced(0.2))]


def test_same_seed_gives_the_same_sentences_and_another_seed_others() -> None:
    assert some("piper", 1) == some("piper", 1)
    assert some("piper", 1) != some("piper", 2)


def test_no_sentence_comes_twice() -> None:
    found = [text.lower() for text in some("piper", 3, 3000)]
    assert len(set(found)) == len(found)


def test_held_out_sentences_are_apart_from_training_whatever_the_seed() -> None:
    held = {text for seed in range(3) for text in some("held", seed, 200)}
    trained = {t for seed in range(3) for s in ("piper", "kokoro") for t in some(s, seed, 1000)}
    assert not held & trained


def test_sentences_are_mostly_short_and_some_are_long() -> None:
    lengths = [len(text.split()) for text in some("piper", 1, 2000)]
    assert np.mean(np.array(lengths) <= 12) > 0.8
    assert np.mean(np.array(lengths) > 12) > 0.03


def test_sentences_are_whole() -> None:
    for text in some("kokoro", 5):
        assert text[0].isupper()
        assert text[-1] in ".?!"
        assert "{" not in text


def test_articles_fit_the_next_sound() -> None:
    vocabulary = {kind: ["useful", "apple", "pear", "one"] for kind in KINDS}
    found = " ".join(itertools.islice(texts.stream("piper", 1, vocabulary), 500)).lower()
    assert " an apple" in found
    assert " a useful" in found
    assert not re.search(r"\b(an (useful|pear|one)|a apple)\b", found)


@pytest.mark.parametrize(
    ("value", "spoken"),
    [
        (0, "zero"),
        (17, "seventeen"),
        (40, "forty"),
        (305, "three hundred five"),
        (21_012, "twenty one thousand twelve"),
    ],
)
def test_numbers_in_words(value: int, spoken: str) -> None:
    assert texts.number_words(value) == spoken


def test_every_slot_of_the_grammar_is_a_rule_or_a_kind_of_word() -> None:
    slots = {
        s for forms in texts.RULES.values() for form in forms for s in texts.SLOT.findall(form)
    }
    assert slots <= {*texts.RULES, *KINDS, "number"}


def test_shard_leaves_opus_files_and_their_rows(tmp_path: Path) -> None:
    tally = clips.write_shard(tmp_path, "piper", "train", 0, fake_takes(4))
    rows = clips.collect(tmp_path)

    assert (tally.kept, tally.skipped) == (4, 1)
    assert rows == manifests.read_rows(tmp_path / "metadata.jsonl", Row)
    lines = (tmp_path / "metadata.jsonl").read_text().splitlines()
    assert list(json.loads(lines[0])) == ["file", "speaker", "text", "seconds", "source", "split"]
    for row in rows:
        info = soundfile.info(tmp_path / row.file)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "OPUS")
        assert info.duration == pytest.approx(row.seconds, abs=0.001)
    assert not list(tmp_path.rglob(".partial-*"))


def test_clips_are_equally_loud(tmp_path: Path) -> None:
    takes = [Take(str(n), "a", "Hello.", voiced(1.0) * 0.3**n) for n in range(3)]
    clips.write_shard(tmp_path, "piper", "train", 0, takes)
    for row in clips.collect(tmp_path):
        samples, _ = soundfile.read(tmp_path / row.file)
        assert 10 * np.log10(np.mean(samples**2)) == pytest.approx(clips.LEVEL_DB, abs=1)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE, np.float32), "silent"),
        (np.clip(20 * voiced(1.0), -1, 1), "clipped"),
        (voiced(0.3), "too short or too long"),
        (voiced(10.5), "too short or too long"),
        (voiced(1.0) * np.float32("nan"), "not finite"),
        (voiced(1.0), None),
    ],
)
def test_faults(samples: np.ndarray, reason: str | None) -> None:
    assert clips.fault(samples) == reason


def test_trim_keeps_a_margin_around_the_speech() -> None:
    silence = np.zeros(RATE, np.float32)
    cut = clips.trim(np.concatenate([silence, voiced(1.0), silence]))
    assert len(cut) / RATE == pytest.approx(1.0 + 2 * clips.MARGIN, abs=0.02)
    assert not clips.trim(silence).size


def test_a_stopped_run_makes_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def takes(job: make.Job) -> list[Take]:
        made.append(job.number)
        if len(made) == 3:
            raise KeyboardInterrupt
        return fake_takes(2)

    monkeypatch.setattr(make, "takes", takes)
    jobs = [make.Job(tmp_path, "piper", n, 1, ("a",), tmp_path, ()) for n in range(5)]
    with pytest.raises(KeyboardInterrupt):
        for job in make.unfinished(jobs):
            make.do(job)
    for job in make.unfinished(jobs):
        make.do(job)

    assert made == [0, 1, 2, 2, 3, 4]
    assert not make.unfinished(jobs)


def test_held_out_and_training_shards_do_not_hide_each_other(tmp_path: Path) -> None:
    held, trained = (make.Job(tmp_path, p, 0, 1, ("a",), tmp_path, ()) for p in ("held", "kokoro"))
    clips.write_shard(tmp_path, trained.source, trained.split, 0, fake_takes(1))
    assert make.unfinished([held, trained]) == [held]


def test_more_hours_keep_the_shards_there_are() -> None:
    few = make.shard_count("piper", 1.0, ["piper"])
    many = make.shard_count("piper", 8.0, ["piper"])
    assert many == pytest.approx(8 * few, rel=0.02)
    first = make.batches(iter(some("piper", 1)), 30, 3)
    assert make.batches(iter(some("piper", 1)), 30, 6)[:3] == first


def test_real_speech_is_cut_in_its_pauses() -> None:
    pause = np.zeros(RATE // 4, np.float32)
    samples = np.concatenate([voiced(6.0), pause, voiced(7.0)])
    words = [HeardWord(s, s + 0.9, f" w{s}", 1.0) for s in np.arange(0.0, 13.0, 1.0)]
    found = list(real.pieces(samples, words, 0.0, len(samples) / RATE))

    assert all(end - start <= clips.SECONDS[1] for start, end, _ in found)
    assert found[0][1] == pytest.approx(6.125, abs=0.13)
    assert [word for _, _, said in found for word in said] == words


def test_other_corpora_are_never_taken(tmp_path: Path) -> None:
    for name in ("84-121123-0001.flac", "arctic_a0001.flac"):
        (tmp_path / name).touch()
    assert [path.name for path in real.recordings(tmp_path)] == ["84-121123-0001.flac"]


@pytest.mark.parametrize("seed", range(6))
def test_music_is_the_same_again_finite_and_level(seed: int) -> None:
    tune = music.render(3.0, seed, 24_000)
    assert tune.shape == (2, 72_000)
    assert tune.dtype == np.float32
    assert np.array_equal(tune, music.render(3.0, seed, 24_000))
    assert np.isfinite(tune).all()
    assert np.abs(tune).max() < 1.0
    assert 10 * np.log10(np.mean(tune**2)) == pytest.approx(music.LEVEL_DB, abs=1.5)


def test_music_differs_by_seed_and_plays_on() -> None:
    tunes = [music.render(6.0, seed, 16_000) for seed in range(8)]
    for one, other in itertools.combinations(tunes, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.5
    for tune in tunes:
        assert all(np.mean(second**2) > 1e-5 for second in np.split(tune, 6, axis=1))


def test_reverb_keeps_shape_and_power_and_rings_on() -> None:
    click = np.zeros(24_000, np.float32)
    click[100] = 0.5
    wet = music.reverb(click, 7, 24_000)
    assert wet.shape == click.shape
    assert np.array_equal(wet, music.reverb(click, 7, 24_000))
    assert np.mean(wet**2) == pytest.approx(np.mean(click**2), rel=0.01)
    assert np.count_nonzero(np.abs(wet[500:]) > 1e-5) > 500
    assert np.abs(wet[:100]).max() < 1e-6


def test_noise_and_babble() -> None:
    hiss = music.noise(2.0, 1, 24_000)
    assert hiss.shape == (2, 48_000)
    assert np.array_equal(hiss, music.noise(2.0, 1, 24_000))
    crowd = music.babble([voiced(1.0, hertz) for hertz in (110, 170, 230)], 2)
    assert crowd.shape == (RATE,)
    assert 10 * np.log10(np.mean(crowd**2)) == pytest.approx(music.LEVEL_DB, abs=1.5)
