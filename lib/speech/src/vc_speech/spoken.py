"""How a text is said: numbers, symbols and abbreviations as words (spokenform, offline)."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

# Fields of the library whose readings do harm in ordinary talk: "A.I. and" as a gene's name,
# "Chapter" in lower case, a house number digit by digit.
_DISABLED = frozenset({"biology", "chemistry", "music", "legal", "addresses"})
# What it reads as a fraction, but people do not.
_SAYINGS = {
    "en": {
        "24/7": "twenty-four seven",
        "50/50": "fifty-fifty",
        "9/11": "nine eleven",
        "&": "and",
        "%": "percent",
    }
}
# Abbreviations that may end a sentence; of others ("He sat.", "in the sun.") the dot is a stop.
_ENDING = frozenset({"etc.", "usw."})
_CALENDAR = re.compile(
    r"(january|february|march|april|may|june|july|august|september|october|november|december"
    r"|\w+day)$",
    re.IGNORECASE,
)
_MISREAD = re.compile(r"0\d+|\d?0s")  # "007" as seven, "the '90s" as ninety seconds
_UNREAD = re.compile(r"\d|[$€£¥%&@#=+<>²³½¼¾°]")
_WORD = re.compile(r"\S+")


def forms(words: Sequence[str], language: str) -> list[str]:
    """What is said for each of the written ``words``; joined by spaces it is the spoken text.

    Words that are said together stand in the first one's place, "" in those of the others: of
    "$5", "million" the forms are "five million dollars" and "". A word that the library would
    leave half written, or a language that it does not know, stays as it is.
    """
    if not any(map(_may_differ, words)) or not knows(language):
        return list(words)
    ends = list(accumulate(len(word) + 1 for word in words))
    starts = [end - len(word) - 1 for word, end in zip(words, ends, strict=True)]
    line = " ".join(words)
    found = list(words)
    for first, last, said in _changes(line, starts, language):
        if _UNREAD.search(said):
            continue
        found[first] = said
        found[first + 1 : last + 1] = [""] * (last - first)
    return found


def text(written: str, language: str) -> str:
    """A whole text as it is said, its words joined by single spaces."""
    return " ".join(form for form in forms(written.split(), language) if form)


def knows(language: str) -> bool:
    """Whether the library speaks the language (ISO 639 code)."""
    import spokenform

    return bool(spokenform.supports_language(language))


def is_unread(form: str) -> bool:
    """Whether a spoken form still holds digits or symbols that nobody can say as they stand."""
    return bool(_UNREAD.search(form))


def _may_differ(word: str) -> bool:
    """Whether a word can be anything but said as written: most lines need no library at all."""
    bare = word.strip("\"'“”‘’«»([{)]},;:!?…")
    return is_unread(word) or "." in bare or bare.isupper() or bare in _TITLES or "/" in bare


_TITLES = frozenset({"Mr", "Mrs", "Ms", "Dr", "St", "Prof"})


def _changes(line: str, starts: Sequence[int], language: str) -> list[tuple[int, int, str]]:
    """(first word, last word, what is said) wherever something else is said than written."""
    sayings = _sayings(line, language)
    protected = sorted({span for span, _ in sayings})
    refused = [
        (edit.source_start, edit.source_end)
        for edit in _prepared(line, language, tuple(protected)).source_replacements
        if not _is_meant(line, edit)
    ]
    edits = [
        ((edit.source_start, edit.source_end), edit.replacement)
        for edit in _prepared(line, language, (*protected, *refused)).source_replacements
    ]
    return _by_words(line, starts, sorted([*edits, *sayings]))


def _sayings(line: str, language: str) -> list[tuple[tuple[int, int], str]]:
    said = _SAYINGS.get(language, {})
    return [
        ((found.start() + shift, found.start() + shift + len(bare)), said[bare])
        for found in _WORD.finditer(line)
        for bare in [found[0].strip("\"'“”‘’([{)]},.;:!?…")]
        for shift in [found[0].find(bare)]
        if bare in said
    ]


@lru_cache(maxsize=64)
def _prepared(line: str, language: str, protected: tuple[tuple[int, int], ...]) -> Any:
    import spokenform

    return spokenform.prepare(
        line,
        language=language,
        use_spacy=False,
        normalize_unicode=False,
        normalize_whitespace=False,
        normalize_literals=True,
        long_number_mode="cardinal",
        disabled_domains=_DISABLED,
        protected_spans=protected,
    )


def _is_meant(line: str, edit: Any) -> bool:
    """Whether what the library expands is an abbreviation here, and not a word before a stop.

    The text was heard, not written: letters that were said as letters ("FBI") stay.
    """
    source = edit.source
    if edit.kind != "abbreviation":
        return not _MISREAD.fullmatch(source)
    if source.isupper() or "abbr:" + source != edit.rule:
        # Another case than the abbreviation's own: "sat." is not Saturday.
        return source.lower() == "no." and line[edit.source_end :].lstrip()[:1].isdigit()
    if "." not in source:
        return source in _TITLES
    if "." in source[:-1]:
        return True
    following = line[edit.source_end :].lstrip("\"'”’)] ,;:")
    ends = not following or (following[0].isupper() and edit.replacement[0].islower())
    if ends:
        return source in _ENDING
    return not _CALENDAR.match(edit.replacement)


def _by_words(
    line: str, starts: Sequence[int], edits: Sequence[tuple[tuple[int, int], str]]
) -> list[tuple[int, int, str]]:
    """Edits of characters as edits of words; those that share a word become one."""
    import bisect

    grouped: list[tuple[int, int, list[tuple[tuple[int, int], str]]]] = []
    for (start, end), said in edits:
        first = bisect.bisect_right(starts, start) - 1
        last = bisect.bisect_left(starts, end) - 1
        if grouped and first <= grouped[-1][1]:
            before = grouped[-1]
            grouped[-1] = (before[0], max(last, before[1]), [*before[2], ((start, end), said)])
        else:
            grouped.append((first, last, [((start, end), said)]))
    changes = []
    for first, last, inner in grouped:
        begin = starts[first]
        stop = starts[last + 1] - 1 if last + 1 < len(starts) else len(line)
        said, at = "", begin
        for (start, end), replacement in inner:
            said += line[at:start] + replacement
            at = end
        said += line[at:stop]
        changes.append((first, last, _with_stop(line, stop, said)))
    return changes


def _with_stop(line: str, stop: int, said: str) -> str:
    """The spoken form with the full stop that ended the sentence as well as the abbreviation."""
    after = line[stop:].lstrip()
    closing = line[stop - 1 : stop] == "." and unicodedata.category(said[-1:] or ".")[0] == "L"
    titled = after and said[:1].isupper() and not said[1:2].isspace()
    return said + "." if closing and (not after or (after[0].isupper() and not titled)) else said
