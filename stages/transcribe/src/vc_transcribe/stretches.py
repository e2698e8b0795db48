"""Stretches of the target's speech, and the words in them.

Whisper hears the target alone: nobody else's words can reach the text, and a window of 30 s is
never left mostly empty by cutting the speech into sentences first.
"""

from collections.abc import Sequence

from vc_common.audio import ENGINE_RATE, Samples
from vc_common.manifests import Segment, Word
from vc_common.whisper import Transcriber

LONGEST = 28.0  # seconds: Whisper hears 30
BRIDGED = 2.0  # seconds of pause within one stretch
PAD = 0.1  # seconds of the pauses around a stretch: plosives begin before their energy
DETECTABLE = 3.0  # seconds from which the language is asked for
SURE = 0.8  # probability from which another language is believed

Span = tuple[float, float]


def of_target(rows: Sequence[Segment]) -> list[Span]:
    """Spans of the target's speech, seconds; joined over pauses in which nobody else speaks."""
    spans: list[Span] = []
    joinable = False
    for row in rows:
        if row.label == "target":
            last = spans[-1] if spans else None
            if (
                joinable
                and last
                and row.start - last[1] <= BRIDGED
                and row.end - last[0] <= LONGEST
            ):
                spans[-1] = (last[0], row.end)
            else:
                spans += _split(row.start, row.end)
            joinable = True
        elif row.label not in ("silence", "music"):
            joinable = False
    return spans


def words(
    transcriber: Transcriber, samples: Samples, span: Span, number: int, language: str
) -> list[Word]:
    """The words of one stretch with times in the recording; ``samples`` are 16 kHz mono."""
    start = max(0.0, span[0] - PAD)
    cut = samples[round(start * ENGINE_RATE) : round((span[1] + PAD) * ENGINE_RATE)]
    spoken = language
    if span[1] - span[0] >= DETECTABLE:
        guess, probability = transcriber.language_of(cut)
        spoken = guess if probability >= SURE else language
    heard = transcriber.hear(cut, spoken)
    return [
        Word(
            start=round(start + word.start, 3),
            end=round(start + word.end, 3),
            word=word.word.strip(),
            confidence=round(word.confidence, 4),
            stretch=number,
            no_speech=round(heard.no_speech, 4),
            compression=round(heard.compression, 3),
            language=spoken,
        )
        for word in heard.words
    ]


def _split(start: float, end: float) -> list[Span]:
    """A span longer than Whisper hears at once, in equal parts."""
    parts = max(1, -int(-(end - start) // LONGEST))
    size = (end - start) / parts
    return [(start + n * size, start + (n + 1) * size) for n in range(parts)]
