"""Texts to phonemes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from vc_core.errors import InputError
from vc_kokoro import packaged, phonemes
from vc_kokoro.options import LANGUAGES

SAID = {
    "The birch canoe slid on the smooth planks.": "ðə bˈɜɹʧ kənˈu slˈɪd ɔnðə smˈuð plˈæŋks.",
    "Better little water, don't go now!": "bˈɛTəɹ lˈɪTᵊl wˈɔTəɹ, dˈOnt ɡˌO nˈW!",
}


@pytest.mark.parametrize("text", SAID)
def test_english_is_written_in_kokoros_alphabet(text: str) -> None:
    assert phonemes.of(text, "en") == SAID[text]


def test_numbers_and_abbreviations_are_said() -> None:
    assert phonemes.of("Mr. Smith has 12 boats.", "en") == phonemes.of(
        "Mister Smith has twelve boats.", "en"
    )


def test_punctuation_stays_where_it_is() -> None:
    assert [c for c in phonemes.of("Well: yes, no; why?", "en") if c in ",;:?"] == list(":,;?")


def test_what_is_too_long_for_the_network_is_cut_between_words() -> None:
    said = phonemes.of("The cat sat, and the dog ran. " * 40, "en")
    pieces = phonemes.parts(said, 510)
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 510
    assert " ".join(pieces) == said
    assert all(piece[-1] in ".," for piece in pieces)
    assert phonemes.parts("x" * 600, 510) == ["x" * 510, "x" * 90]


def test_nothing_to_say_gives_nothing() -> None:
    assert phonemes.of("  ", "en") == ""


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_phonemes_that_the_model_knows(language: str) -> None:
    known = packaged.vocabulary()
    said = phonemes.of("Maria canta una canta, la luna.", language)
    assert len(said) > 10
    assert [sound for sound in said if sound not in known] == []


def test_a_language_without_phonemes_is_refused_with_those_that_have() -> None:
    with pytest.raises(InputError, match=r"'de'.*en, es, fr, hi, it, pt.*csm-1b"):
        phonemes.of("Guten Tag.", "de")


def test_threads_do_not_mix_up_each_others_texts() -> None:
    texts = ["One, two; three.", "Four: five!", "Six, seven, eight?"] * 20
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(phonemes.of, texts, ["en"] * len(texts)))
    assert said == [phonemes.of(text, "en") for text in texts]
