"""How much of spoken English the sentences reach: sounds, pairs of sounds, and words.

    python models/data/cover.py --sentences 5000 [--against prompts.txt]

`--against` is a file of other sentences, one a line; it then says how much of theirs is reached.
"""

import argparse
import importlib
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from models.data import lexicon, make, texts

# Stress and length are not sounds of their own; ties and dots modify the letter before.
MARKS = re.compile(r"[ˈˌː.?!,;:\u0361\u0329\u0303]")


def sounds(sentences: Iterable[str]) -> list[list[str]]:
    """Each sentence as espeak-ng's letters, a space where a word ends."""
    piper: Any = importlib.import_module("piper.phonemize_espeak")
    speller = piper.EspeakPhonemizer()
    return [
        [mark for part in speller.phonemize("en-us", text) for mark in MARKS.sub("", "".join(part))]
        for text in sentences
    ]


def pairs(sounded: Sequence[Sequence[str]]) -> Counter[tuple[str, str]]:
    """How often each sound follows another, word ends among them."""
    return Counter(pair for line in sounded for pair in itertools.pairwise([" ", *line, " "]))


def words(sentences: Iterable[str]) -> Counter[str]:
    """How often each word is used."""
    return Counter(word for text in sentences for word in re.findall(r"[a-z']+", text.lower()))


def reached(ours: Counter[Any], theirs: Counter[Any]) -> str:
    """How much of theirs is among ours, by kinds and by uses."""
    kinds = sum(item in ours for item in theirs) / len(theirs)
    uses = sum(count for item, count in theirs.items() if item in ours) / theirs.total()
    return f"{kinds:.1%} of {len(theirs)} kinds, {uses:.2%} of {theirs.total()} uses"


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sentences", type=int, default=5000)
    parser.add_argument("--against", type=Path, help="other sentences, one a line")
    args = parser.parse_args()
    vocabulary = lexicon.load()
    ours = list(itertools.islice(texts.stream("piper", make.SEED, vocabulary), args.sentences))
    our_pairs, our_words = pairs(sounds(ours)), words(ours)
    print(f"{len(ours)} sentences: {len({s for p in our_pairs for s in p}) - 1} sounds,")
    print(f"{len(our_pairs)} pairs of sounds, {len(our_words)} words")
    others = {"held-out": list(itertools.islice(texts.stream("held", make.SEED, vocabulary), 500))}
    if args.against:
        others[args.against.name] = args.against.read_text("utf-8").splitlines()
    for name, sentences in others.items():
        print(f"{name}: pairs {reached(our_pairs, pairs(sounds(sentences)))}")
        print(f"{name}: words {reached(our_words, words(sentences))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
