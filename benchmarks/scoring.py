"""What the output of a stage is worth, against the truth of its recording."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from truth import STEP, Mask, Span, Truth

from vc_core import audio
from vc_core.manifests import LedgerRow, Segment, Word, read_rows
from vc_speech import text

EDGE = 0.03  # seconds that a cut may reach into a word: what alignment itself knows


@dataclass(frozen=True)
class _Clip:
    """What is scored of a row of metadata.jsonl."""

    start: float
    end: float
    text: str


@dataclass
class Scores:
    """Figures of one recording; nan where they do not apply, seconds where sums are pooled."""

    kept: float = 0.0  # seconds, without the reference slice
    kept_pure: float = 0.0
    wanted: float = 0.0  # seconds of the target alone, without the reference slice
    wanted_kept: float = 0.0
    reachable: float = 0.0  # of the wanted, what clips that end in pauses can hold
    clips: int = 0
    cut_clips: int = 0
    cut_edges: int = 0
    texts: list[tuple[str, str]] = field(default_factory=list)  # said, written
    eer: float = float("nan")
    gain: float = float("nan")
    lost: dict[str, float] = field(default_factory=dict)  # seconds of the target by reason
    foreign: list[Span] = field(default_factory=list)  # kept, though others speak
    cuts: list[float] = field(default_factory=list)  # edges inside words

    @property
    def purity(self) -> float:
        """Share of the kept seconds in which nobody but the target speaks."""
        return self.kept_pure / self.kept if self.kept else float("nan")

    @property
    def recall(self) -> float:
        """Share of the target's own seconds that was kept."""
        return self.wanted_kept / self.wanted if self.wanted else float("nan")

    @property
    def ceiling(self) -> float:
        """The recall that can be had without cutting words."""
        return self.reachable / self.wanted if self.wanted else float("nan")

    @property
    def cut(self) -> float:
        """Share of the clips that begin or end inside a word."""
        return self.cut_clips / self.clips if self.clips else float("nan")

    @property
    def wer(self) -> float:
        """Word errors over words said, all clips together."""
        said = [pair for pair in self.texts if text.comparable(pair[0])]
        if not said:
            return float("nan")
        return text.word_error_rate([s for s, _ in said], [w for _, w in said])

    def add(self, other: "Scores") -> None:
        """Take the sums of another recording in."""
        for name in (
            "kept",
            "kept_pure",
            "wanted",
            "wanted_kept",
            "reachable",
            "clips",
            "cut_clips",
            "cut_edges",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.texts += other.texts
        for reason, seconds in other.lost.items():
            self.lost[reason] = self.lost.get(reason, 0.0) + seconds


def of_clips(folder: Path, truth: Truth) -> Scores:
    """Figures of a clips folder with metadata.jsonl and ledger.jsonl."""
    scores = Scores()
    wanted, others = truth.alone(), truth.others()
    outside = ~truth.frames([truth.reference])
    clips = [
        clip
        for clip in _clips(folder / "metadata.jsonl")
        if not truth.reference[0] <= (clip.start + clip.end) / 2 < truth.reference[1]
    ]
    kept = truth.frames([(clip.start, clip.end) for clip in clips]) & outside
    scores.kept, scores.kept_pure = _seconds(kept), _seconds(kept & ~others)
    scores.wanted, scores.wanted_kept = _seconds(wanted), _seconds(wanted & kept)
    scores.reachable = _seconds(truth.reachable())
    scores.foreign = _spans(kept & others)
    scores.lost = _lost(read_rows(folder / "ledger.jsonl", LedgerRow), truth, wanted)
    for clip in clips:
        cuts = [at for at in (clip.start, clip.end) if inside_word(at, truth)]
        scores.clips += 1
        scores.cut_clips += bool(cuts)
        scores.cut_edges += len(cuts)
        scores.cuts += cuts
        scores.texts.append((said_in(clip.start, clip.end, truth), clip.text))
    return scores


def of_nothing(folder: Path, truth: Truth) -> Scores:
    """Figures of a recording that yielded no clip; its ledger, if any, says why."""
    wanted = truth.alone()
    rows = [row for path in folder.glob("*.ledger.jsonl") for row in read_rows(path, LedgerRow)]
    reached = _seconds(truth.reachable())
    return Scores(wanted=_seconds(wanted), reachable=reached, lost=_lost(rows, truth, wanted))


def inside_word(at: float, truth: Truth) -> bool:
    """Whether a cut at ``at`` seconds goes through a word of anybody, deeper than ``EDGE``.

    Of the others, whose words are not known, any span of sound counts as a word.
    """
    words = [(word.start, word.end) for word in truth.words]
    sounds = [s for who, spans in truth.speech.items() if who != truth.target for s in spans]
    return any(start + EDGE < at < end - EDGE for start, end in [*words, *sounds])


def said_in(start: float, end: float, truth: Truth) -> str:
    """The target's words whose middle lies in [start, end) seconds."""
    return " ".join(w.word for w in truth.words if start <= (w.start + w.end) / 2 < end)


def equal_error_rate(rows: Sequence[Segment], truth: Truth) -> float:
    """Where as large a share of the target's seconds is refused as of the others' accepted.

    Counted over the frames in which exactly one side speaks and whose row has a score (its
    margin over the nearest other voice; where there is none, its similarity), outside the
    reference slice.
    """
    score = np.full(len(truth.others()), np.nan)
    for row in rows:
        value = row.margin if row.margin is not None else row.similarity
        if value is not None:
            score[round(row.start / STEP) : round(row.end / STEP)] = value
    scored = ~np.isnan(score)
    mine = score[truth.alone() & scored]
    theirs = score[truth.others() & ~truth.frames(truth.speech[truth.target]) & scored]
    if not mine.size or not theirs.size:
        return float("nan")
    levels = np.unique(np.concatenate([mine, theirs]))
    missed = np.searchsorted(np.sort(mine), levels) / len(mine)
    taken = 1 - np.searchsorted(np.sort(theirs), levels) / len(theirs)
    at = int(np.abs(missed - taken).argmin())
    return float((missed[at] + taken[at]) / 2)


def of_segments(rows: Sequence[Segment], truth: Truth) -> dict[str, float]:
    """How well ``target`` rows match the target alone, and ``overlap`` rows the overlaps."""
    wanted, others = truth.alone(), truth.others()
    outside = ~truth.frames([truth.reference])
    mine = truth.frames([(row.start, row.end) for row in rows if row.label == "target"]) & outside
    double = others & truth.frames(truth.speech[truth.target])
    figures = {
        "target_seconds": _seconds(mine),
        "purity": _share(mine & ~others, mine),
        "recall": _share(mine & wanted, wanted),
        "eer": equal_error_rate(rows, truth),
        "overlap_seconds": _seconds(double),
        "overlap_not_target": _share(double & ~mine, double),
    }
    for label in sorted({row.label for row in rows}):
        flags = truth.frames([(row.start, row.end) for row in rows if row.label == label])
        figures[f"target_called_{label}"] = _seconds(flags & wanted)
        figures[f"others_called_{label}"] = _seconds(flags & others)
    return figures


def of_words(words: Sequence[Word], truth: Truth) -> dict[str, float]:
    """How well words and their times match the target's, over its seconds alone."""
    spoken = [w for w in truth.words if _alone(w.start, w.end, truth)]
    heard = [w for w in words if _alone(w.start, w.end, truth)]
    pairs = _matched(spoken, heard)
    starts = np.array([abs(a.start - b.start) for a, b in pairs])
    ends = np.array([abs(a.end - b.end) for a, b in pairs])
    said, written = " ".join(w.word for w in spoken), " ".join(_spoken(w) for w in heard)
    return {
        "words": len(spoken),
        "wer": text.word_error_rate([said], [written]) if spoken else float("nan"),
        "matched": len(pairs) / max(len(spoken), 1),
        "start_error_median": float(np.median(starts)) if pairs else float("nan"),
        "start_error_90": float(np.percentile(starts, 90)) if pairs else float("nan"),
        "end_error_median": float(np.median(ends)) if pairs else float("nan"),
        "end_error_90": float(np.percentile(ends, 90)) if pairs else float("nan"),
    }


def separation_gain(folder: Path, vocals: Path, truth: Truth) -> float:
    """By how many dB the voices' SI-SDR in ``vocals`` is above that in the recording.

    Over the seconds with music where there is some, else over the whole.
    """
    clean, rate = audio.read(folder / "speech.flac")
    mixed = audio.read(folder / "source.wav")[0]
    kept = audio.read(vocals, rate)[0]
    spans = truth.music or [(0.0, truth.seconds)]
    gains = []
    for start, end in spans:
        here = slice(round(start * rate), round(end * rate))
        gains.append(
            (end - start, si_sdr(kept[here], clean[here]) - si_sdr(mixed[here], clean[here]))
        )
    return sum(seconds * gain for seconds, gain in gains) / sum(seconds for seconds, _ in gains)


def si_sdr(heard: audio.Samples, clean: audio.Samples) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019)."""
    size = min(len(heard), len(clean))
    a, b = heard[:size].astype(np.float64), clean[:size].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    wanted = (a @ b) / max(b @ b, 1e-12) * b
    rest = float(np.sum((a - wanted) ** 2))
    return 10 * float(np.log10(max(float(wanted @ wanted), 1e-12) / max(rest, 1e-12)))


def _clips(path: Path) -> list[_Clip]:
    with path.open(encoding="utf-8") as file:
        told = [json.loads(line) for line in file]
    return [_Clip(row["start"], row["end"], row["text"]) for row in told]


def _lost(rows: Sequence[LedgerRow], truth: Truth, wanted: Mask) -> dict[str, float]:
    """Seconds of the target alone by the reason for which they were dropped, largest first."""
    sums: dict[str, float] = {}
    for row in rows:
        if not row.kept:
            seconds = _seconds(wanted & truth.frames([(row.start, row.end)]))
            if seconds:
                sums[row.reason] = sums.get(row.reason, 0.0) + seconds
    return {name: round(sums[name], 2) for name in sorted(sums, key=lambda key: -sums[key])}


def _alone(start: float, end: float, truth: Truth) -> bool:
    middle = (start + end) / 2
    spans = [s for who, v in truth.speech.items() if who != truth.target for s in v]
    return not any(a < middle < b for a, b in [*spans, truth.reference])


def _matched(spoken: Sequence[Any], heard: Sequence[Word]) -> list[tuple[Any, Word]]:
    """Words said and heard that are the same word, in order (edit distance, jiwer)."""
    import jiwer

    mine = [w.word for w in spoken]
    theirs = [text.comparable(w.word).replace(" ", "") or "-" for w in heard]
    if not mine or not theirs:
        return []
    chunks = jiwer.process_words(" ".join(mine), " ".join(theirs)).alignments[0]
    return [
        (spoken[c.ref_start_idx + n], heard[c.hyp_start_idx + n])
        for c in chunks
        if c.type == "equal"
        for n in range(c.ref_end_idx - c.ref_start_idx)
    ]


def _spoken(word: Word) -> str:
    return word.word if word.spoken is None else word.spoken


def _seconds(flags: Mask) -> float:
    return round(float(flags.sum()) * STEP, 2)


def _share(part: Mask, whole: Mask) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def _spans(flags: npt.NDArray[np.bool_]) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(round(a * STEP, 2), round(b * STEP, 2)) for a, b in edges.reshape(-1, 2)]
