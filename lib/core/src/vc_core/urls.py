"""URLs as records, logs and cards may tell them: without passwords, signatures and tokens."""

import re
from urllib.parse import unquote

# Query parameters that name a recording, a part of it or a form of it, on one site or another.
# Case, dashes and underscores make no difference: videoId is video_id.
CONTENT = frozenset(
    {
        *("v", "vid", "videoid", "video", "clip", "clipid", "i", "id", "cid", "oid", "aid", "bvid"),
        *("media", "mediaid", "mid", "item", "itemid", "track", "trackid", "song", "album", "p"),
        *("episode", "episodeid", "ep", "show", "showid", "season", "program", "programid", "part"),
        *("list", "playlist", "playlistid", "channel", "index", "page", "story", "storyid"),
        *("article", "articleid", "file", "filename", "t", "start", "end", "lang", "language"),
        *("hl", "locale", "format", "quality", "export", "download", "dl"),
    }
)
# What names a content is short and plain; signatures and encoded tokens are neither.
_PLAIN = re.compile(r"[\w.,:~+ /-]{1,64}")

# Names under which secrets stand in a path, alone or behind others: /hdnts=exp=1~hmac=2/a.mp3.
_SECRETS = frozenset(
    {
        *("token", "accesstoken", "authtoken", "auth", "authkey", "key", "apikey", "password"),
        *("secret", "sig", "lsig", "signature", "hmac", "hdnts", "hdnea", "hdntl", "policy"),
        *("session", "sessionid", "sid"),
    }
)
# Those of them that can mean nothing else where the secret is the next part of the path.
_HERALDS = frozenset({"token", "accesstoken", "authtoken", "sig", "lsig", "signature", "hmac"})

# RFC 3986, appendix B; unlike a parser it takes what is no valid URL, too.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.S)
_HOST = re.compile(r"[^:\[\]]*(:\d*)?|\[[^\]]*(\](:\d*)?)?")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://")
_WORD = re.compile(r"""[^\s"'<>]+""")
_CLOSING = ".,:;!)]}"


def public(url: str) -> str:
    """A URL without what may be secret in it; a local file, and what is no URL, stay as they are.

    - The user name and password go.
    - Of the query, and of a fragment alike, stays what is known to name a content (``CONTENT``)
      and has a short, plain value: ``v=dQw4w9WgXcQ``, ``list=PL...``, ``t=30``. All else goes.
      Nobody can list the names by which secrets go, and to tell a recording less exactly does
      less harm than to tell a token.
    - The path stays, for it names the recording, but for parameters in it (``;jsessionid=...``,
      ``/hdnts=exp=...~hmac=.../``, ``/sig/.../``). An unlisted address is known by whoever
      knows it: what is secret about a path by itself cannot be told.

    What is left stays as it was written, so that a URL without secrets comes back the same.
    """
    found = _URL.fullmatch(url)
    return _without_secrets(found) if found and found[1].lower() != "file://" else url


def scrubbed(text: str) -> str:
    """Words in which each URL is public; so is one without its host, as programs quote them."""
    return _WORD.sub(lambda word: _scrubbed_word(word[0]), text)


def _without_secrets(found: re.Match[str]) -> str:
    scheme, authority, path, query, fragment = found.groups()
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host) and "@" in found[0]:
        # The slash, question mark or number sign that seems to end the host is the password's.
        return public(scheme + found[0].rpartition("@")[2])
    return scheme + host + _path(path) + _kept("?", query) + _kept("#", fragment)


def _scrubbed_word(word: str) -> str:
    bare = word.rstrip(_CLOSING)
    closing = word[len(bare) :]
    url = _SCHEME.search(bare)
    if url:
        return bare[: url.start()] + public(bare[url.start() :]) + closing
    path, asked, query = bare.partition("?")
    return path + _kept(asked, query) + closing if "=" in query else word


def _kept(mark: str, query: str | None) -> str:
    """What stays of a query or fragment, behind its ``mark``; "" where nothing does."""
    kept = [part for part in re.split("[&;]", query or "") if _names_content(part)]
    return mark + "&".join(kept) if kept else ""


def _names_content(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return _plain_name(name) in CONTENT and _PLAIN.fullmatch(unquote(value)) is not None


def _path(path: str) -> str:
    kept: list[str] = []
    segments = iter(path.split("/"))
    for segment in segments:
        plain, *parameters = segment.split(";")
        name, given, _ = plain.partition("=")
        if _plain_name(plain) in _HERALDS:
            next(segments, None)
        elif not given or _plain_name(name) not in _SECRETS:
            kept.append(";".join([plain, *filter(_names_content, parameters)]))
    return "/".join(kept)


def _plain_name(name: str) -> str:
    return re.sub("[-_]", "", unquote(name)).lower()
