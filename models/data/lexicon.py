"""English words by what they can do in a sentence, from two packages' tables."""

import gzip
import importlib.util
import json
import re
from collections import defaultdict
from pathlib import Path

Lexicon = dict[str, list[str]]

# How often a word must be in the subtitles that were counted; about 20,000 words are.
COMMONNESS = 600
# What the grammar has where it belongs; the tables would also have it as a noun or a verb.
CLOSED = """
about after ain all am an and any are as at back be been before being both but by can
could did do does doing done down each every for from had has have he her here him his
how if in into it its just like may me might more most much must my no nor not now of
off on one only or other our out over own shall she should so some such than that the
their them then there these they this those through to too two under up upon us very was
we were what when where which while who why will with would you your
"""
PLAIN = re.compile(r"[a-z]{2,14}")
COLUMNS = {
    "noun": ("noun", "nouns"),
    "verb": ("verb", "past", "participle", "ing", "verbs"),
    "adj": ("adj", "comparative", "superlative"),
    "adv": ("adv", "", ""),
}


def _folder(package: str) -> Path:
    """Where a package lies; it is not imported, for only its tables are wanted."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ValueError(f"{package} is not installed: see models/data/README.md")
    return Path(found.origin).parent


def common_words() -> dict[str, int]:
    """Usual and decent English words with their rank, 0 for the most frequent."""
    counted = json.loads(
        gzip.decompress((_folder("spellchecker") / "resources" / "en.json.gz").read_bytes())
    )
    rude = (_folder("better_profanity") / "profanity_wordlist.txt").read_text("utf-8").split("\n")
    by_count = sorted(counted, key=lambda word: (-counted[word], word))
    barred = {*CLOSED.split(), *rude}
    kept = [w for w in by_count if counted[w] >= COMMONNESS and PLAIN.fullmatch(w)]
    return {word: rank for rank, word in enumerate(kept) if word not in barred}


def load() -> Lexicon:
    """Words by kind (noun, nouns, verb, verbs, past, ...), the most frequent first."""
    ranks = common_words()
    found: dict[str, set[str]] = defaultdict(set)
    table = gzip.decompress((_folder("lemminflect") / "resources" / "infl_lu.csv.gz").read_bytes())
    for line in table.decode("utf-8").splitlines():
        lemma, kind, *forms = line.split(",")
        past = forms[0] if forms else ""
        for column, cell in zip(COLUMNS[kind], [lemma, *forms], strict=False):
            # An empty participle is the past; of several spellings the first is enough.
            spelt = cell.split("/")[0] or (past.split("/")[0] if column == "participle" else "")
            if column and spelt in ranks and lemma in ranks:
                found[column].add(spelt)
    return {kind: sorted(words, key=ranks.__getitem__) for kind, words in found.items()}
