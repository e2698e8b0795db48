"""Sentences to speak: a grammar over a large vocabulary, without end and without repetition.

They mean little, but they are pronounceable English of every length, with questions, lists,
numbers, names and times. Every sentence belongs to one split by its checksum, so held-out
sentences stay apart from training whatever seed or length a run has.
"""

import random
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from models.data.lexicon import Lexicon

SPLITS = {"held": 4, "kokoro": 26, "piper": 70}  # per cent of all sentences
FAVOUR = 1.8  # 1 draws all words alike; more draws frequent words more often
LONGEST = 130  # characters, about eight seconds
SLOT = re.compile(r"\{(\w+)\}")


def _words(line: str) -> list[str]:
    return line.split()


ONES = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")


def read_grammar(text: str) -> dict[str, tuple[str, ...]]:
    """The forms of each rule; see grammar.txt for how they are written."""
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = re.findall(r"^(\w+):\n((?:  .*\n)+)", bare + "\n", re.MULTILINE)
    return {
        name: tuple(form.strip() for form in " ".join(body.split()).split("|"))
        for name, body in found
    }


RULES = read_grammar((Path(__file__).parent / "grammar.txt").read_text("utf-8"))


def number_words(value: int) -> str:
    """A number below one million in words."""
    if value < 20:
        return ONES[value]
    if value < 100:
        return " ".join([TENS[value // 10 - 2], *([ONES[value % 10]] if value % 10 else [])])
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    rest = value % size
    tail = [number_words(rest)] if rest else []
    return " ".join([number_words(value // size), name, *tail])


def expand(slot: str, lexicon: Lexicon, rng: random.Random) -> str:
    """What stands for ``slot``: a rule's choice, or a word of the lexicon."""
    if slot == "number":
        return number_words(int(10 ** rng.uniform(0.3, 4.5)))
    if slot in RULES:
        chosen = rng.choice(RULES[slot])
        return SLOT.sub(lambda found: expand(found[1], lexicon, rng), chosen)
    words = lexicon[slot]
    return words[int(len(words) * rng.random() ** FAVOUR)]


def sentence(lexicon: Lexicon, rng: random.Random) -> str:
    """One sentence, begun with a capital, with a or an as the next letter wants it."""
    text = expand("sentence", lexicon, rng)
    text = re.sub(r"\b([Aa]) (?=[aeiou])(?!one|eu|uni|us[aeiu])", r"\1n ", text)
    text = re.sub(r"([.?!]) (\w)", lambda found: f"{found[1]} {found[2].upper()}", text)
    return text[0].upper() + text[1:]


def split_of(text: str) -> str:
    """The one split that a sentence may be spoken in, whatever its letters' case and marks."""
    bare = re.sub(r"[^a-z ]", "", text.lower())
    place = zlib.crc32(bare.encode()) % 100
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    raise AssertionError("the shares make a hundred")


def stream(split: str, seed: int, lexicon: Lexicon) -> Iterator[str]:
    """Sentences of a split without end, none twice; the same seed gives the same ones."""
    rng = random.Random(f"{split} {seed}")  # noqa: S311 - sentences, not secrets
    seen: set[str] = set()
    while True:
        text = sentence(lexicon, rng)
        if len(text) <= LONGEST and text.lower() not in seen and split_of(text) == split:
            seen.add(text.lower())
            yield text
