"""From windows of speech to the words in them, in the language that is spoken."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from vc_core.audio import ENGINE_RATE
from vc_speech import vad
from vc_speech.whisper import Engine, Heard, HeardWord, Language
from vc_transcribe.recording import Recording
from vc_transcribe.stretches import Piece, Span, Window, window

DETECTABLE = 3.0  # seconds of speech from which its language can be told
SURE = 0.5  # probability from which another language is believed; speech in noise stays below
UNDIVIDED = 0.98  # probability of the voice's language from which a window holds no other
MISSED = 1.5  # seconds of speech without a word after which a stretch is heard again
MARGIN = 0.3  # seconds by which word times may be off
VOICED = 0.35  # speech probability from which Silero is taken to hear a voice


@dataclass(frozen=True)
class Stretch:
    """A stretch of target speech and what was heard in it, all times in the recording.

    ``voiced`` are the spans in which Silero hears a voice; ``no_speech`` and ``likelihood`` are
    Whisper's for the window.
    """

    piece: Piece
    language: str
    words: tuple[HeardWord, ...]
    voiced: tuple[Span, ...]
    no_speech: float
    likelihood: float


class Ears:
    """A transcriber, used in batches where it can."""

    def __init__(self, engine: Engine, language: str, batch_size: int) -> None:
        """``language`` is the voice's; ``batch_size`` 0 leaves it to the engine."""
        self._engine = engine
        self._language = language
        self._last = language
        batched = hasattr(engine, "hear_all")
        self.batch_size = (batch_size or getattr(engine, "batch_size", 1)) if batched else 1

    def hear(
        self, recording: Recording, packed: Sequence[Sequence[Piece]]
    ) -> Iterator[list[Stretch]]:
        """The stretches of the windows, batch by batch."""
        for at in range(0, len(packed), self.batch_size):
            windows = [window(recording, pieces) for pieces in packed[at : at + self.batch_size]]
            spoken = [
                part
                for whole, heard in zip(windows, self._languages(windows), strict=True)
                for part in self._divided(whole, heard, recording)
            ]
            found = [
                stretch
                for language in dict.fromkeys(language for _, language in spoken)
                for stretch in self._heard([w for w, said in spoken if said == language], language)
            ]
            yield sorted(found, key=lambda stretch: stretch.piece.number)

    def _languages(self, windows: Sequence[Window]) -> list[Language]:
        samples = [one.samples for one in windows]
        if hasattr(self._engine, "languages_of"):
            found: list[Language] = self._engine.languages_of(samples)
            return found
        return [self._engine.language_of(one) for one in samples]

    def _divided(
        self, whole: Window, heard: Language, recording: Recording
    ) -> list[tuple[Window, str]]:
        """The window with its language; in parts where it may hold more than one.

        A short piece takes the language of the nearest that is long enough to tell.
        """
        if whole.seconds < DETECTABLE:
            return [(whole, self._last)]
        if len(whole.pieces) == 1 or (heard[0] == self._language and heard[1] >= UNDIVIDED):
            self._last = self._believed(heard)
            return [(whole, self._last)]
        told = [piece for piece in whole.pieces if piece.seconds >= DETECTABLE]
        if not told:
            self._last = self._believed(heard)
            return [(whole, self._last)]
        guesses = self._languages([window(recording, [piece]) for piece in told])
        known = {p.number: self._believed(g) for p, g in zip(told, guesses, strict=True)}
        runs: list[tuple[list[Piece], str]] = []
        for piece in whole.pieces:
            nearest = min(told, key=lambda other: _distance(piece, other))
            self._last = known[nearest.number]
            if runs and runs[-1][1] == self._last:
                runs[-1][0].append(piece)
            else:
                runs.append(([piece], self._last))
        if len(runs) == 1:
            return [(whole, self._last)]
        return [(window(recording, pieces), language) for pieces, language in runs]

    def _believed(self, heard: Language) -> str:
        return heard[0] if heard[1] >= SURE else self._language

    def _heard(self, windows: Sequence[Window], language: str) -> Iterable[Stretch]:
        samples = [one.samples for one in windows]
        if hasattr(self._engine, "hear_all"):
            results: list[Heard] = self._engine.hear_all(samples, language)
        else:
            results = [self._engine.hear(one, language) for one in samples]
        for one, result in zip(windows, results, strict=True):
            voiced = vad.speech_spans(
                one.samples, threshold=VOICED, min_speech=0.05, min_silence=0.1, pad=0.0
            )
            for piece in one.pieces:
                stretch = _stretch(piece, result, voiced, language)
                yield self._again(one, stretch) if _missed(stretch) > MISSED else stretch

    def _again(self, whole: Window, stretch: Stretch) -> Stretch:
        """The stretch by itself, where Whisper had passed over speech; kept if that is better."""
        piece = stretch.piece
        first, last = (
            round(at * ENGINE_RATE) for at in (piece.offset, piece.offset + piece.seconds)
        )
        cut = whole.samples[first:last]
        alone = replace(piece, offset=0.0)
        voiced = [(start - piece.start, end - piece.start) for start, end in stretch.voiced]
        heard = self._engine.hear(cut, stretch.language)
        again = _stretch(alone, heard, voiced, stretch.language)
        return again if _missed(again) < _missed(stretch) else stretch


def _distance(piece: Piece, other: Piece) -> float:
    return max(other.start - piece.end, piece.start - other.end, 0.0)


def _stretch(piece: Piece, heard: Heard, voiced: Sequence[Span], language: str) -> Stretch:
    """What belongs to one piece of a window: words by their middle."""
    seconds = piece.seconds
    first, last = piece.offset - 0.25, piece.offset + seconds + 0.25
    words = tuple(
        replace(
            word,
            start=min(max(word.start + piece.shift, piece.start), piece.end),
            end=min(max(word.end + piece.shift, piece.start), piece.end),
        )
        for word in heard.words
        if word.word.strip() and first <= (word.start + word.end) / 2 < last
    )
    here = tuple(
        (max(start + piece.shift, piece.start), min(end + piece.shift, piece.end))
        for start, end in voiced
        if end > piece.offset and start < piece.offset + seconds
    )
    return Stretch(piece, language, words, here, heard.no_speech, heard.likelihood)


def _missed(stretch: Stretch) -> float:
    """The longest run of seconds with a voice and no word."""
    longest = 0.0
    for start, end in stretch.voiced:
        at = start
        for word in stretch.words:
            if word.end + MARGIN > at and word.start - MARGIN < end:
                longest = max(longest, word.start - MARGIN - at)
                at = max(at, word.end + MARGIN)
        longest = max(longest, end - at)
    return longest
