"""Models that speak and learn to: what a family of them must offer, and how it is found.

A package adds a family by an entry point in the group ``voice_clone.tts``: the entry point's name
is the family's, its object a ``SpeakingModel``. Loading that object must be quick, so torch and
models load in its methods. Beside it the package has an ``options.py`` with the family's card, a
``vc_core.speaking.Family`` named FAMILY.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vc_core import engines, files, options, speaking
from vc_core.errors import InputError
from vc_core.options import Parser
from vc_core.speaking import AUTO, Family, Speaking, Training, Variant

if TYPE_CHECKING:
    from vc_core.audio import Samples
    from vc_core.dataset import DatasetClip


@dataclass(frozen=True)
class TrainingJob:
    """What a family trains from and for.

    ``prepared`` is what its ``prepare`` wrote, ``output`` the adapter's folder, ``checkpoints``
    where a stopped run goes on from; ``base_model`` a folder or Hub id, ``device`` auto, cpu or
    cuda. ``voice``, ``consent`` and ``language`` stand in the card. ``encoder`` and ``listener``
    are the speaker encoder and the transcriber that judge samples. ``again`` is the command that
    starts another process of the same training.
    """

    prepared: Path
    output: Path
    checkpoints: Path
    base_model: str
    device: str
    voice: str
    consent: str
    language: str
    encoder: str
    listener: str
    training: Training
    again: Sequence[str]


@dataclass(frozen=True)
class Request:
    """What a voice is made from; a family leaves aside what means nothing to it.

    ``base_model`` and ``adapter`` are folders or Hub ids, "" for no adapter; ``device`` is auto,
    cpu or cuda. ``context_audio`` is speech that steers the voice, ``context_text`` what is said
    in it, "" for what the .json beside it says. ``language`` is what is spoken, an ISO 639 code.
    ``stock_voice`` names the voice that the variants marked ``stock`` speak with.
    """

    base_model: str
    adapter: str
    device: str
    context_audio: Path | None
    context_text: str
    speaking: Speaking
    language: str = "en"
    stock_voice: str = ""


@dataclass(frozen=True)
class Said:
    """One text as sound, mono: its samples, the model's frames in it, how it ended."""

    samples: Samples
    frames: int
    stopped_by_itself: bool


class Voice(Protocol):
    """A model that is ready to speak.

    ``rate`` is that of its samples in Hz, ``letters`` the longest text to give it at once, and
    ``device`` where it runs. The same text and seed make the same speech.
    """

    rate: int
    letters: int
    device: str

    def speak(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Said]:
        """Say every text, each by its own seed, in the given order."""

    def stream(self, text: str, seed: int) -> Iterator[Samples]:
        """Say one text piece by piece, as soon as each is made."""


class SpeakingModel(Protocol):
    """A family of speaking models: how it learns a voice, and how it speaks in it.

    All methods raise InputError for models and files that cannot be used.
    """

    family: Family

    def prepare(
        self, clips: Iterable[DatasetClip], base_model: str, output: Path, device: str
    ) -> Mapping[str, Any]:
        """Write what ``train`` learns from, one file, atomically; returns figures of it.

        The clips come at 24 kHz. Those that do not fit the model are left out. Of the figures
        ``clips`` is how many there are in each split, ``left_out`` how many were left out for
        each reason.
        """

    def train(self, job: TrainingJob) -> Mapping[str, Any] | None:
        """Write the adapter's folder, atomically; returns figures, None in helping processes.

        The folder holds at least README.md (the card), training.json (with ``family``,
        ``family_title``, ``base_model`` and ``kept_step``; ``notice`` where people are to be
        told something of the base model) and training.jsonl, a row a step. A stopped training
        raises TryAgainError after a checkpoint, and goes on from it when called again.
        """

    def merge(self, adapter: Path, base_model: str, output: Path, dtype: str) -> Mapping[str, Any]:
        """Write base and adapter as one model that loads alone; returns figures.

        ``base_model`` "" is the one that the adapter names.
        """

    def load(self, request: Request) -> Voice:
        """The voice that a request describes."""

    def compared(
        self, request: Request, variants: Sequence[Variant]
    ) -> Iterator[tuple[Variant, Voice]]:
        """The request's voice in each of the family's ``variants``, one after another.

        Each is to be used before the next one is asked for: they may share one model. The context
        of the request goes to those variants that have one, its stock voice to those marked so.
        """

    def stock(self, request: Request) -> Mapping[str, Sequence[Samples]]:
        """Speech of every voice that comes with the base model, by name, at 24 kHz.

        The same few sentences each, in the request's language; {} where no voice comes with it.
        """

    def copies(self, request: Request, clips: Sequence[DatasetClip]) -> list[Samples]:
        """Each clip as the model with its adapter says it again, at 24 kHz: what it can reach.

        What the model has to foretell otherwise, such as pitch and timing, is the clip's own. []
        where the family knows no such thing.
        """


def add_options(parser: Parser, kind: Literal["training", "speaking"]) -> None:
    """Give a parser what the family of its ``--base-model`` (or ``--family``) can be told.

    The options come as the argument ``kind``. Which family it is shows in the command line, so
    that they are added when that is parsed; ``--help`` shows those of the default base model.
    """
    parser.later.append(
        lambda arguments: options.add(parser, getattr(named(parser, arguments).family, kind), kind)
    )


def named(parser: Parser, arguments: Sequence[str]) -> SpeakingModel:
    """The family that a command line asks for, before all of it can be parsed.

    The parser's own options, the model named ``options``, have a base model and a family.
    """
    fields = parser.declared["options"].model_fields
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("base_model", "family"):
        first.add_argument(options.flag(name), default=fields[name].default)
    known, _ = first.parse_known_args(list(arguments))
    return find(known.base_model, known.family)


def of_adapter(adapter: Path, base_model: str, family: str) -> SpeakingModel:
    """The family named ``family``, or for ``auto`` the one that made the adapter.

    Where its training.json does not tell, that is the one that claims ``base_model``, or the base
    model that the adapter names. Raises InputError where nothing tells.
    """
    if family == AUTO:
        family = str(_told(adapter / "training.json").get("family") or AUTO)
    if family == AUTO and not base_model:
        named = _told(adapter / "adapter_config.json").get("base_model_name_or_path")
        if not named:
            raise InputError(
                f"{adapter}: nothing in it names a family of speaking models or a base model; "
                "give the folder of an adapter, or --base-model"
            )
        base_model = str(named)
    return find(base_model, family)


def _told(path: Path) -> dict[str, Any]:
    """A JSON object; {} where there is no such file."""
    told = files.read_json(path) if path.is_file() else {}
    if not isinstance(told, dict):
        raise InputError(f"{path}: not a JSON object; give the folder of an adapter")
    return told


def models() -> dict[str, SpeakingModel]:
    """The families that installed packages offer, by name."""
    known = {name: engines.entry(engines.TTS, name) for name in engines.names(engines.TTS)}
    for name, model in known.items():
        if getattr(getattr(model, "family", None), "name", None) != name:
            package = engines.distribution(engines.TTS, name)
            raise InputError(
                f"{package}: its entry point {engines.TTS}: {name} is no family of that name "
                "(vc_speech.tts.SpeakingModel); mend or uninstall it"
            )
    return known


def packages(model: SpeakingModel) -> list[str]:
    """The distribution of a family, whose versions belong into the records of what it did."""
    name = engines.distribution(engines.TTS, model.family.name)
    return [name] if name else []


def find(base_model: str, family: str) -> SpeakingModel:
    """The family named ``family``, or for ``auto`` the one that claims the base model.

    Raises InputError, with the names there are, where there is none.
    """
    known = models()
    chosen = speaking.choose([model.family for model in known.values()], base_model, family)
    return next(model for model in known.values() if model.family is chosen)
