"""From what was heard in a stretch to its rows: times, captions, spoken forms, doubts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from vc_core.manifests import Word
from vc_speech import spoken, text, whisper
from vc_transcribe import aligned, doubts, times
from vc_transcribe.captions import Cue
from vc_transcribe.hearing import Stretch


@dataclass
class Figures:
    """What the record says of a transcript; seconds are of stretches."""

    seconds_by_language: dict[str, float] = field(default_factory=dict)
    doubtful: Counter[str] = field(default_factory=Counter)
    captioned: int = 0
    compared: int = 0
    overruled: int = 0
    disagreement: float = 0.0
    respoken: int = 0
    unread: int = 0

    def as_dict(self) -> dict[str, object]:
        """The figures as they stand in the record."""
        return {
            "seconds_by_language": {
                name: round(seconds, 3)
                for name, seconds in sorted(self.seconds_by_language.items())
            },
            "doubtful_words": dict(self.doubtful.most_common()),
            "captions": {
                "words": self.captioned,
                "stretches_compared": self.compared,
                "stretches_left_as_heard": self.overruled,
                "mean_disagreement": (
                    round(self.disagreement / self.compared, 4) if self.compared else None
                ),
            },
            "normalised_words": self.respoken,
            "words_not_spoken_out": self.unread,
        }


def once(words: Sequence[Word]) -> list[Word]:
    """The words without those that two stretches heard, where long speech was cut between them.

    Both hear a little beyond the cut. Of a word at the same place the surer hearing stays.
    """
    out: list[Word] = []
    for word in words:
        last = out[-1] if out else None
        if (
            last is None
            or last.stretch == word.stretch
            or word.start >= last.end
            or text.comparable(last.word) != text.comparable(word.word)
        ):
            out.append(word)
        elif word.confidence > last.confidence:
            out[-1] = word
    return out


def rows(
    stretch: Stretch, cues: Sequence[Cue], most_disagreement: float, figures: Figures
) -> list[Word]:
    """The rows of one stretch, counted in ``figures``."""
    spent = figures.seconds_by_language
    spent[stretch.language] = spent.get(stretch.language, 0.0) + stretch.piece.seconds
    words = times.settled(stretch.words, stretch.voiced)
    reasons = doubts.doubts(words, stretch.voiced, stretch.no_speech, stretch.likelihood)
    told = [
        aligned.Told(word.start, word.end, word.word.strip(), word.confidence, reason)
        for word, reason in zip(words, reasons, strict=True)
    ]
    told, disagreement = aligned.by_captions(told, cues, stretch.language, most_disagreement)
    forms = spoken.forms([one.word for one in told], stretch.language)
    repetition = whisper.compression(" ".join(one.word for one in told))
    if disagreement is not None:
        figures.compared += 1
        figures.disagreement += disagreement
        figures.overruled += disagreement > most_disagreement
    figures.captioned += sum(one.captioned for one in told)
    figures.doubtful.update(one.doubt for one in told if one.doubt)
    figures.respoken += sum(form != one.word for one, form in zip(told, forms, strict=True))
    figures.unread += sum(map(spoken.is_unread, forms))
    return [
        Word(
            start=round(one.start, 3),
            end=round(one.end, 3),
            word=one.word,
            confidence=round(one.confidence, 4),
            stretch=stretch.piece.number,
            no_speech=round(stretch.no_speech, 4),
            compression=round(repetition, 3),
            language=stretch.language,
            spoken=None if form == one.word else form,
            doubt=one.doubt,
            captioned=one.captioned,
            disagreement=None if disagreement is None else round(disagreement, 4),
        )
        for one, form in zip(told, forms, strict=True)
    ]
