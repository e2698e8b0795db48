"""The clips of all sources of a voice, without what only the whole voice shows to be amiss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vc_core import audio, ledger, log
from vc_core.audio import TTS_RATE, Samples
from vc_core.errors import InputError
from vc_core.ledger import Reason
from vc_core.manifests import Clip, LedgerRow, read_rows
from vc_dataset import duplicates, outliers

logger = log.get("dataset")


@dataclass(frozen=True)
class Source:
    """One folder of clips with its ledger; [] where the folder has none."""

    folder: Path
    clips: list[Clip]
    rows: list[LedgerRow]

    @property
    def name(self) -> str:
        """The source's id."""
        return self.clips[0].source if self.clips else self.folder.name


def read(folders: Sequence[Path]) -> list[Source]:
    """Read the folders; raises InputError for one without ``metadata.jsonl``, or a name twice."""
    sources = []
    for folder in folders:
        told = folder / "ledger.jsonl"
        sources.append(
            Source(
                folder,
                read_rows(folder / "metadata.jsonl", Clip),
                read_rows(told, LedgerRow) if told.is_file() else [],
            )
        )
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"source {twice[0]!r} is given twice; name each folder once")
    return sources


def left_out(
    sources: Sequence[Source], find_duplicates: bool, deviations: float
) -> dict[str, LedgerRow]:
    """The ledger rows of clips to leave out, by clip: rate outliers, then duplicates."""
    clips = {clip.clip: clip for source in sources for clip in source.clips}
    places = {clip.clip: s.folder / clip.file_name for s in sources for clip in s.clips}
    rows = {
        name: _row(clips[name], Reason.RATE_OUTLIER, {"deviations": away})
        for name, away in outliers.find(list(clips.values()), deviations).items()
    }
    for name in rows:
        logger.info("%s: left out, %.1f letters a second", name, clips[name].rate)
    if find_duplicates:

        def samples(clip: Clip) -> Samples:
            return audio.read(places[clip.clip], TTS_RATE)[0]

        rest = [clip for name, clip in clips.items() if name not in rows]
        for name, same in duplicates.find(rest, samples).items():
            logger.info("%s: left out, the same recording as %s", name, same)
            rows[name] = _row(clips[name], Reason.DUPLICATE, {})
    return rows


def voice_ledger(source: Source, dropped: Mapping[str, LedgerRow]) -> list[LedgerRow]:
    """The source's ledger with what was left out of the voice laid over it."""
    mine = [dropped[clip.clip] for clip in source.clips if clip.clip in dropped]
    return ledger.tile(source.rows, mine)


def _row(clip: Clip, reason: Reason, more: dict[str, float]) -> LedgerRow:
    measured = {
        name: value
        for name in ("similarity", "confidence", "dnsmos", "snr", "bandwidth", "rate")
        if (value := getattr(clip, name)) is not None
    }
    return LedgerRow(clip.start, clip.end, False, reason.value, clip.clip, measured | more)
