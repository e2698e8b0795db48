"""Texts as they are compared: without case and punctuation, by words and by speaking rate."""

import re
import unicodedata

from vc_speech import spoken


def comparable(text: str) -> str:
    """Lower case, words only, single spaces: the form in which words are counted as wrong."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    plain = re.sub(r"[^\w\s']", " ", plain)
    return " ".join(word.strip("'_") for word in plain.split() if word.strip("'_"))


def letters_a_second(text: str, seconds: float) -> float:
    """Speaking rate: letters and digits of a text over the seconds of speech that said it."""
    return sum(letter.isalnum() for letter in text) / max(seconds, 0.1)


def word_error_rate(references: list[str], hypotheses: list[str], language: str = "en") -> float:
    """Word errors over words of all references together (jiwer), 0 to above 1.

    Where either text has digits, both are compared as they are said in ``language``: "5" is no
    error for "five".
    """
    import jiwer

    pairs = [_pair(r, h, language) for r, h in zip(references, hypotheses, strict=True)]
    kept = [(r, h) for r, h in pairs if r]
    if not kept:
        raise ValueError("word error rate: no reference has any word")
    return float(jiwer.wer([r for r, _ in kept], [h for _, h in kept]))


def _pair(reference: str, hypothesis: str, language: str) -> tuple[str, str]:
    if re.search(r"\d", reference + hypothesis):
        reference, hypothesis = (spoken.text(t, language) for t in (reference, hypothesis))
    return comparable(reference), comparable(hypothesis)
