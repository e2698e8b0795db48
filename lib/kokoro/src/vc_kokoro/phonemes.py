"""Texts to the phonemes that Kokoro was trained on, by espeak-ng.

espeak-ng comes as a library with its data (espeakng-loader), so that no program need be installed.
Kokoro's alphabet writes diphthongs and affricates as one letter each; the tables below say which,
as misaki, the alphabet's own library, does for words that its dictionaries lack.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import Any

from vc_core.errors import InputError
from vc_speech import spoken

# ISO 639 codes, and the voices of espeak-ng that speak as Kokoro-82M learnt it.
ESPEAK = {
    **{"en": "en-us", "es": "es", "fr": "fr-fr", "hi": "hi", "it": "it", "pt": "pt-br"},
}
# What ^ ties together is one sound. Longer ones stand before those that they contain.
TIED = {
    **{"a^ɪ": "I", "a^ʊ": "W", "d^z": "ʣ", "d^ʒ": "ʤ", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q"},
    **{"s^s": "S", "t^s": "ʦ", "t^ʃ": "ʧ", "ɔ^ɪ": "Y", "ə^l": "ᵊl"},
}
AMERICAN = {
    **{"ʔˌn\u0329": "ʔn", "ʔn\u0329": "ʔn", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɚ": "əɹ", "ɪ^ə": "iə"},
    **{"ɪə": "iə", "ʲo": "jo", "ʲə": "jə", "ʲ": "", "r": "ɹ", "x": "k", "ç": "k", "ɐ": "ə"},
    **{"ɬ": "l", "\u0303": "", "e": "A", "o": "ɔ", "ɾ": "T", "ʔ": "t", "ː": ""},
}
SYLLABIC = "\u0329"  # under a consonant that carries a syllable
STRETCH = re.compile(r"\s+")
ALONE = threading.Lock()  # espeak-ng's library has one state for all threads


def of(text: str, language: str) -> str:
    """The phonemes of a written text, its punctuation kept; "" where nothing in it is said.

    Raises InputError for a language whose phonemes Kokoro does not know.
    """
    check(language)
    said = STRETCH.sub(" ", spoken.text(text, language)).strip()
    if not said:
        return ""
    with ALONE:
        (ipa,) = _espeak(ESPEAK[language]).phonemize([said])
    for theirs, ours in TIED.items():
        ipa = ipa.replace(theirs, ours)
    if language == "en":
        ipa = _american(ipa)
    return STRETCH.sub(" ", ipa.replace("^", "").replace("-", "")).strip()


def parts(said: str, longest: int) -> list[str]:
    """Phonemes in pieces of at most ``longest``, cut after punctuation or between words."""
    pieces = []
    while len(said) > longest:
        ends = [said.rfind(mark, 0, longest) for mark in (*".!?;:,", " ")]
        cut = next((end for end in ends if end > longest // 2), longest - 1) + 1
        pieces.append(said[:cut].strip())
        said = said[cut:].strip()
    return [*pieces, said]


def check(language: str) -> None:
    """Raises InputError, with those that there are, for a language without phonemes."""
    if language not in ESPEAK:
        known = ", ".join(sorted(ESPEAK))
        raise InputError(
            f"language {language!r}: Kokoro has no phonemes for it; it speaks {known}; "
            "take another base model (models.tts), such as unsloth/csm-1b"
        )


def _american(ipa: str) -> str:
    for theirs, ours in AMERICAN.items():
        ipa = ipa.replace(theirs, ours)
    return re.sub(rf"(\S){SYLLABIC}", r"ᵊ\1", ipa).replace(SYLLABIC, "")


@lru_cache
def _espeak(voice: str) -> Any:
    """espeak-ng ready to speak a language, its library taken from espeakng-loader."""
    import logging

    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    quiet = logging.getLogger("vc_kokoro.phonemizer")
    quiet.setLevel(logging.ERROR)
    return EspeakBackend(
        voice,
        preserve_punctuation=True,
        with_stress=True,
        tie="^",
        language_switch="remove-flags",
        logger=quiet,
    )
