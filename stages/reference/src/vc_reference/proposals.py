"""Which stretches of a recording would make a reference: clean, and one person's."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from vc_core import audio, log
from vc_core.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_core.errors import InputError
from vc_reference import checks, voices
from vc_reference.checks import Ears
from vc_reference.options import FitnessOptions, ProposeOptions, ReferenceOptions
from vc_reference.slices import Slice, read
from vc_reference.voices import Stretch
from vc_speech import quality, vad

logger = log.get("reference")

AROUND = 120.0  # seconds before and after an unfit slice in which a better one is sought
TRIED = 2  # stretches measured for each one wanted
# What a stretch is measured by at first, before the costly figures: dB and cosines, made alike.
SNR_ENOUGH = 35.0  # dB: more is no better
LIKENESS_WEIGHT = 40.0  # dB a cosine of 1 is worth


@dataclass(frozen=True)
class Proposal:
    """A stretch in seconds that passes the checks, and its figures.

    ``likeness`` is that of its least alike part to the rest, ``share`` the voice's of all speech.
    """

    voice: str
    start: float
    end: float
    dnsmos: float
    snr_db: float
    likeness: float | None
    share: float


@dataclass(frozen=True)
class _Wanted:
    """What a stretch has to reach, with at least ``min_speech`` seconds of speech."""

    limits: FitnessOptions
    min_speech: float
    ears: Ears


def propose(recording: Path, options: ProposeOptions) -> list[Proposal]:
    """The best stretches of each of the recording's main voices, best first.

    The voices are called A, B and so on, the one who speaks most first. Raises InputError when
    nothing in the recording would serve.
    """
    shortest, longest = options.min_seconds, options.max_seconds
    if longest < shortest:
        raise InputError(f"--max-seconds {longest:g}: below --min-seconds {shortest:g}; raise it")
    ears = Ears.of(options)
    # A stretch is to pass as a reference whose least speech is the usual.
    wanted = _Wanted(options, ReferenceOptions.model_validate({}).min_seconds, ears)
    samples, _ = audio.read(recording, ENGINE_RATE)
    turns = voices.turns_in(samples, ears)
    spoken = voices.seconds_by_voice(turns)
    found: list[Proposal] = []
    for voice, seconds in spoken.items():
        name = _letter(voice)
        candidates = voices.stretches(turns, voice, shortest, longest)
        share = round(seconds / sum(spoken.values()), 3)
        best = _best(samples, candidates, options.count, wanted, name, share)
        if not best:
            logger.warning(
                "voice %s (%.0f%% of the speech): no clean stretch of %g to %g s",
                *(name, 100 * share, shortest, longest),
            )
        found += best
    if not found:
        raise InputError(
            f"{recording}: no stretch of {shortest:g} to {longest:g} s would serve as a reference; "
            "lower --min-seconds, or take another recording"
        )
    return found


def near(unfit: Slice, limits: ReferenceOptions, ears: Ears) -> Proposal | None:
    """The best stretch within two minutes of a slice, of the voice that speaks most in it."""
    if ears.encoder.thresholds is None:
        return None
    since = max(0.0, unfit.start - AROUND)
    found, rate, _ = read(unfit.recording, since, unfit.start + AROUND)
    samples = audio.resample(found, rate, ENGINE_RATE)
    turns = voices.turns_in(samples, ears)
    start, end = unfit.start - since, unfit.end - since
    inside = [turn for turn in turns if start < turn.end and turn.start < end]
    spoken = voices.seconds_by_voice(inside) or voices.seconds_by_voice(turns)
    if not spoken:
        return None
    voice = next(iter(spoken))
    usual = ProposeOptions.model_validate({})
    candidates = voices.stretches(turns, voice, usual.min_seconds, usual.max_seconds)
    wanted = _Wanted(limits, limits.min_seconds, ears)
    best = _best(samples, candidates, 1, wanted, _letter(voice), 0.0)
    return replace(best[0], start=best[0].start + since, end=best[0].end + since) if best else None


def table(found: Sequence[Proposal], source: str) -> str:
    """The proposals as a table to read, and a line to paste for the best of each voice."""
    rows = ["voice    start      end  DNSMOS   SNR  likeness  share"]
    for row in found:
        likeness = "-" if row.likeness is None else f"{row.likeness:.2f}"
        rows.append(
            f"{row.voice:<5} {row.start:8.1f} {row.end:8.1f}  {row.dnsmos:6.2f} {row.snr_db:5.1f}"
            f"  {likeness:>8}  {row.share:5.0%}"
        )
    rows += ["", "The best of each voice, for config.yaml:"]
    best = {row.voice: row for row in reversed(found)}
    for voice in sorted(best):
        start, end = best[voice].start, best[voice].end
        rows.append(
            f"  reference: {{source: {source}, start: {start:.2f}, end: {end:.2f}}}  # {voice}"
        )
    return "\n".join(rows)


def write_clips(found: Sequence[Proposal], recording: Path, folder: Path) -> None:
    """Write each proposal as 24 kHz WAV into ``folder``, to listen to."""
    for row in found:
        samples, rate, _ = read(recording, row.start, row.end)
        name = f"{row.voice}-{row.start:.1f}-{row.end:.1f}.wav"
        audio.write(folder / name, audio.resample(samples, rate, TTS_RATE), TTS_RATE)


def as_rows(found: Sequence[Proposal]) -> list[dict[str, Any]]:
    """The proposals for JSON."""
    return [asdict(row) for row in found]


def _best(
    samples: Samples,
    candidates: Sequence[Stretch],
    count: int,
    wanted: _Wanted,
    name: str,
    share: float,
) -> list[Proposal]:
    """The ``count`` candidates of one voice that pass the checks, by DNSMOS, the best first."""
    measured = [
        _measured(samples, stretch, wanted, name, share)
        for stretch in _apart(samples, candidates, count * TRIED)
    ]
    fit = [proposal for proposal in measured if proposal is not None]
    return sorted(fit, key=lambda proposal: -proposal.dnsmos)[:count]


def _apart(samples: Samples, candidates: Sequence[Stretch], count: int) -> Iterator[Stretch]:
    """The ``count`` most promising candidates that do not overlap."""

    def promise(stretch: Stretch) -> float:
        snr = checks.snr_db(_within(samples, stretch))
        return min(snr, SNR_ENOUGH) + LIKENESS_WEIGHT * stretch.likeness

    taken: list[Stretch] = []
    for stretch in sorted(candidates, key=promise, reverse=True):
        if len(taken) == count:
            return
        if all(stretch.end <= other.start or other.end <= stretch.start for other in taken):
            taken.append(stretch)
            yield stretch


def _measured(
    samples: Samples, stretch: Stretch, wanted: _Wanted, name: str, share: float
) -> Proposal | None:
    """A stretch of ``samples`` with its figures; None where it would not pass as a reference."""
    here, ears, limits = _within(samples, stretch), wanted.ears, wanted.limits
    speech = vad.speech_spans(here)
    likeness = checks.least_likeness(here, speech, ears.encoder)
    # Every window of a long stretch would cost seconds: its beginning and its end tell enough.
    mos = min(quality.dnsmos(here[: quality.WINDOW]), quality.dnsmos(here[-quality.WINDOW :]))
    complaints = (
        checks.too_short(vad.total(speech), wanted.min_speech),
        checks.distorted(quality.clipped(here), limits),
        checks.noisy(mos, limits),
        checks.several_voices(likeness, ears.least_cosine(limits)),
    )
    if any(complaints) or ears.overlap_seconds(samples, stretch.start, stretch.end) > 0:
        return None
    return Proposal(
        name,
        round(stretch.start, 2),
        round(stretch.end, 2),
        round(mos, 2),
        checks.snr_db(here),
        likeness,
        share,
    )


def _within(samples: Samples, stretch: Stretch) -> Samples:
    return samples[round(stretch.start * ENGINE_RATE) : round(stretch.end * ENGINE_RATE)]


def _letter(voice: int) -> str:
    """A to Z; there are no more main voices than that."""
    return ascii_uppercase[voice]
