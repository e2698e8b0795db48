"""The evaluation: every variant speaks every text, real speech gives ceiling and floor.

Similarity is the judge's, an encoder by which nothing was chosen; that of the encoder which
training used stands beside it.
"""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vc_core import audio, files, log
from vc_core.audio import TTS_RATE
from vc_core.dataset import DatasetClip
from vc_core.manifests import spread
from vc_core.speaking import Variant
from vc_evaluate import data, panel, scale
from vc_evaluate.options import EvaluateOptions
from vc_evaluate.panel import Likeness, Opinion, Panel, figures
from vc_speech import encoders, label, watermark, whisper
from vc_speech.judge import Judge
from vc_speech.tts import Request, SpeakingModel, Voice

TARGET_CLIPS = 24  # enough for a centroid that more would not move
FLOOR_STRETCHES = 12
FLOOR_SECONDS = 10.0  # of a stretch that is longer, as long as a clip may be

logger = log.get("evaluate")


@dataclasses.dataclass(frozen=True)
class Item:
    """One text spoken by one variant; ``file`` is relative to the speech folder.

    ``clip`` is the held-out clip whose text it is, "" where the dataset names none.
    """

    text: str
    clip: str
    file: str
    similarity: float
    wer: float | None
    dnsmos: float
    stopped: bool
    seconds: float
    heard: str


def run(
    dataset: Path,
    model: SpeakingModel,
    request: Request,
    variants: Sequence[Variant],
    recordings: Sequence[tuple[Path, Path]],
    options: EvaluateOptions,
    *,
    output: Path,
    folder: Path,
) -> dict[str, Any]:
    """Let every variant speak; write what was spoken to ``folder``, the scores to ``output``.

    ``recordings`` are separated vocals with their segments, in which other people give the floor.
    """
    beside = panel.training_encoder(Path(request.adapter), options)
    watermark.check()
    notes: list[str] = []
    texts, split = data.choose_texts(dataset, options.max_texts)
    if split != "test":
        notes.append(
            "The test split is empty: texts come from validation, which chose the adapter."
        )
    request = dataclasses.replace(request, language=texts[0].language or request.language)
    stretches = data.others(recordings, FLOOR_STRETCHES)
    assert request.context_audio is not None
    reference, _ = audio.read(request.context_audio, TTS_RATE)
    clips = [clip.samples for clip in spread(data.read_split(dataset, "train"), TARGET_CLIPS)]
    if not clips:
        notes.append("No training clip: similarity is to the reference recording alone.")
    target = clips or [reference]

    # Whisper's engine sets the threads of the whole process, and a small model takes them back.
    hear = whisper.load(options.whisper, options.device)
    encoder = encoders.load(options.judge_encoder, options.device)
    taken = scale.choose(model, request, variants, Likeness(encoder, target))
    speaking = model.compared(taken.request, taken.variants)
    judges = Panel(
        Judge(encoder, hear, target, texts[0].language),
        Likeness(encoders.load(beside, options.device), target),
    )
    ceiling = [judges.hear(clip.samples, clip.text) for clip in texts]
    floor = [judges.hear(_stretch(*found), None) for found in stretches]
    if not floor:
        notes.append(f"No floor: {_why_no_floor(recordings)}.")

    seed = request.speaking.seed
    with files.atomic_folder(folder) as partial:
        bench = _Bench(texts, judges, request, partial)
        spoken, device = _spoken(speaking, bench)
        copies = model.copies(taken.request, texts)
        scores = {
            "voice": texts[0].voice,
            "texts": len(texts),
            "split": split,
            "family": model.family.name,
            **_compared(taken.variants),
            "variants": {one.name: spoken[one.name] for one in taken.variants},
            **({"copies": figures(_copied(copies, bench), seed)} if copies else {}),
            "ceiling": figures(ceiling, seed),
            "floor": figures(floor, seed) if floor else None,
            "judge_encoder": options.judge_encoder,
            "training_encoder": beside,
            "whisper": options.whisper,
            "base_model": request.base_model,
            "adapter": request.adapter,
            "notes": notes,
        }
        why = scale.lay(scores, taken)
        if why:
            notes.append(f"No place on the scale: {why}.")
        files.write_json(output, scores)
    for name, told in spoken.items():
        if told["place"] is not None:
            logger.info("%s: place %.2f, where 0 is %s", name, told["place"], taken.zero_is)
    logger.info("wrote %s; what was spoken lies in %s", output, folder)
    return {
        "device": device,
        "texts": len(texts),
        "utterances": len(texts) * len(spoken),
        "target_clips": len(clips),
        "floor_stretches": len(floor),
        "stock_voice": taken.request.stock_voice,
        "similarity": {name: told["similarity"] for name, told in spoken.items()},
        "place": {name: told["place"] for name, told in spoken.items()},
    }


def _compared(variants: Sequence[Variant]) -> dict[str, str | None]:
    """Which variants a summary compares: the base with its stock voice, if it has one, and the
    first with the adapter."""
    base = scale.before(variants)
    return {
        "before": base.name if base else None,
        "after": next((variant.name for variant in variants if variant.adapter), None),
    }


@dataclasses.dataclass(frozen=True)
class _Bench:
    """What every variant is tried with."""

    texts: Sequence[DatasetClip]
    judges: Panel
    request: Request
    folder: Path


def _spoken(speaking: Iterable[tuple[Variant, Voice]], bench: _Bench) -> tuple[dict[str, Any], str]:
    """What is told of every variant by name, and the device on which they spoke."""
    told: dict[str, Any] = {}
    device = ""
    for variant, voice in speaking:
        told[variant.name] = {"title": variant.title, **_variant(variant.name, voice, bench)}
        device = voice.device
        logger.info("%s", _line(variant.name, told[variant.name]))
    return told, device


def _variant(name: str, voice: Voice, bench: _Bench) -> dict[str, Any]:
    """Let one variant speak all texts into the bench's folder; returns its means and items.

    Every variant draws by the same seeds, so that they differ by model, not by luck.
    """
    items, opinions = [], []
    place = name.replace("+", "-")
    asked = [clip.text for clip in bench.texts]
    seed = bench.request.speaking.seed
    started = time.perf_counter()
    said = voice.speak(asked, range(seed, seed + len(asked)))
    took = time.perf_counter() - started
    heard = log.progress(
        zip(bench.texts, said, strict=True), desc=name, unit="text", total=len(asked)
    )
    for number, (clip, spoken) in enumerate(heard):
        file = f"{place}/{number:03d}.wav"
        (bench.folder / file).parent.mkdir(exist_ok=True)
        samples = audio.resample(spoken.samples, voice.rate, TTS_RATE)
        marked = watermark.mark(samples, TTS_RATE)
        label.write(bench.folder / file, marked, bench.request.base_model)
        opinion = bench.judges.hear(marked, clip.text)
        opinions.append(opinion)
        verdict = opinion.verdict
        items.append(
            Item(
                text=clip.text,
                clip=clip.clip,
                file=file,
                similarity=round(verdict.similarity, 4),
                wer=None if verdict.wer is None else round(verdict.wer, 4),
                dnsmos=round(verdict.dnsmos, 4),
                stopped=spoken.stopped_by_itself,
                seconds=round(len(marked) / TTS_RATE, 3),
                heard=verdict.heard,
            )
        )
    seconds = sum(item.seconds for item in items)
    return {
        **figures(opinions, seed),
        "stop_rate": round(sum(item.stopped for item in items) / len(items), 4),
        "real_time_factor": round(took / seconds, 4) if seconds else None,
        "items": [dataclasses.asdict(item) for item in items],
    }


def _stretch(recording: Path, row: Any) -> audio.Samples:
    end = min(row.end, row.start + FLOOR_SECONDS)
    samples, rate = audio.read_span(recording, row.start, end)
    return audio.resample(samples, rate, TTS_RATE)


def _copied(copies: Sequence[audio.Samples], bench: _Bench) -> list[Opinion]:
    """What the judges say of copies of the clips, which are marked as all that a model says."""
    return [
        bench.judges.hear(watermark.mark(copy, TTS_RATE), clip.text)
        for copy, clip in zip(copies, bench.texts, strict=True)
    ]


def _why_no_floor(recordings: Sequence[tuple[Path, Path]]) -> str:
    if not recordings:
        return "no recordings were given with --vocals and --segments"
    return f"nobody else speaks for {data.MIN_OTHER_SECONDS:g} s in the recordings"


def _line(name: str, told: dict[str, Any]) -> str:
    wer = "-" if told["wer"] is None else f"{told['wer']:.0%}"
    return (
        f"{name}: similarity {told['similarity']:.2f}, word errors {wer}, "
        f"DNSMOS {told['dnsmos']:.2f}, stopped by itself {told['stop_rate']:.0%}"
    )
