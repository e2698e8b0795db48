"""Which of yt-dlp's extractors a URL needs: to ask all 1,800 costs more than most of the rest."""

import urllib.parse

from yt_dlp.extractor import gen_extractor_classes

_MEDIA = {
    *("aac", "aiff", "flac", "m4a", "m4b", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpga"),
    *("oga", "ogg", "opus", "wav", "webm", "wma"),
}

# Shorter parts of host names, such as com, stand in too many patterns to tell anything.
_SHORTEST = 4


def is_plain_file(url: str) -> bool:
    """Whether a URL is of a media file of no site that yt-dlp knows.

    That is so where its path ends like one, and no part of its host's name stands in any site's
    pattern. To look for the name compiles no pattern, and errs on the side of the sites.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.path.rpartition(".")[2].lower() not in _MEDIA:
        return False
    names = [part for part in (parts.hostname or "").split(".") if len(part) >= _SHORTEST]
    patterns = (str(site._VALID_URL) for site in gen_extractor_classes())
    return not any(name in pattern.lower() for pattern in patterns for name in names)
