"""The evaluation: every variant speaks every text, real speech gives ceiling and floor."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vc_core import audio, files, log
from vc_core.audio import TTS_RATE
from vc_core.dataset import DatasetClip
from vc_core.manifests import spread
from vc_core.speaking import Variant
from vc_evaluate import data
from vc_evaluate.options import EvaluateOptions
from vc_speech import encoders, label, watermark, whisper
from vc_speech.judge import Judge, Verdict, means
from vc_speech.tts import Request, SpeakingModel, Voice

TARGET_CLIPS = 24  # enough for a centroid that more would not move
FLOOR_STRETCHES = 12
FLOOR_SECONDS = 10.0  # of a stretch that is longer, as long as a clip may be

logger = log.get("evaluate")


@dataclasses.dataclass(frozen=True)
class Item:
    """One text spoken by one variant; ``file`` is relative to the speech folder."""

    text: str
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
    watermark.check()
    notes: list[str] = []
    texts, split = data.choose_texts(dataset, options.max_texts)
    if split != "test":
        notes.append(
            "The test split is empty: texts come from validation, which chose the adapter."
        )
    stretches = data.others(recordings, FLOOR_STRETCHES)
    assert request.context_audio is not None
    reference, _ = audio.read(request.context_audio, TTS_RATE)
    target = [clip.samples for clip in spread(data.read_split(dataset, "train"), TARGET_CLIPS)]
    if not target:
        notes.append("No training clip: similarity is to the reference recording alone.")

    # Whisper's engine sets the threads of the whole process, and a small model takes them back.
    hear = whisper.load(options.whisper, options.device)
    speaking = model.compared(request, variants)
    judge = Judge(
        encoders.load(options.encoder, options.device),
        hear,
        target or [reference],
        texts[0].language,
    )
    ceiling = [judge.judge(clip.samples, clip.text) for clip in texts]
    floor = [judge.judge(_stretch(*found), None) for found in stretches]
    if not floor:
        notes.append(f"No floor: {_why_no_floor(recordings)}.")

    spoken: dict[str, Any] = {}
    seed = request.speaking.seed
    with files.atomic_folder(folder) as partial:
        device = ""
        for variant, voice in speaking:
            bench = _Bench(texts, voice, judge, request, partial)
            spoken[variant.name] = {"title": variant.title, **_variant(variant.name, bench)}
            device = voice.device
            logger.info("%s", _line(variant.name, spoken[variant.name]))
        files.write_json(
            output,
            {
                "voice": texts[0].voice,
                "texts": len(texts),
                "split": split,
                "family": model.family.name,
                **_compared(variants),
                "variants": spoken,
                "ceiling": _figures(ceiling, seed),
                "floor": _figures(floor, seed) if floor else None,
                "encoder": options.encoder,
                "whisper": options.whisper,
                "base_model": request.base_model,
                "adapter": request.adapter,
                "notes": notes,
            },
        )
    logger.info("wrote %s; what was spoken lies in %s", output, folder)
    return {
        "device": device,
        "texts": len(texts),
        "utterances": len(texts) * len(spoken),
        "target_clips": len(target),
        "floor_stretches": len(floor),
        "similarity": {name: told["similarity"] for name, told in spoken.items()},
    }


def _compared(variants: Sequence[Variant]) -> dict[str, str | None]:
    """Which variants a summary compares: the first without the adapter, and the first with it."""
    return {
        name: next((variant.name for variant in variants if variant.adapter is adapter), None)
        for name, adapter in (("before", False), ("after", True))
    }


@dataclasses.dataclass(frozen=True)
class _Bench:
    """What one variant is tried with."""

    texts: Sequence[DatasetClip]
    voice: Voice
    judge: Judge
    request: Request
    folder: Path


def _variant(name: str, bench: _Bench) -> dict[str, Any]:
    """Let one variant speak all texts into the bench's folder; returns its means and items.

    Every variant draws by the same seeds, so that they differ by model, not by luck.
    """
    items, verdicts = [], []
    place = name.replace("+", "-")
    asked = [clip.text for clip in bench.texts]
    seed = bench.request.speaking.seed
    started = time.perf_counter()
    said = bench.voice.speak(asked, range(seed, seed + len(asked)))
    took = time.perf_counter() - started
    heard = log.progress(zip(asked, said, strict=True), desc=name, unit="text", total=len(asked))
    for number, (text, spoken) in enumerate(heard):
        file = f"{place}/{number:03d}.wav"
        (bench.folder / file).parent.mkdir(exist_ok=True)
        samples = audio.resample(spoken.samples, bench.voice.rate, TTS_RATE)
        marked = watermark.mark(samples, TTS_RATE)
        label.write(bench.folder / file, marked, bench.request.base_model)
        verdict = bench.judge.judge(marked, text)
        verdicts.append(verdict)
        items.append(
            Item(
                text=text,
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
        **_figures(verdicts, seed),
        "stop_rate": round(sum(item.stopped for item in items) / len(items), 4),
        "real_time_factor": round(took / seconds, 4) if seconds else None,
        "items": [dataclasses.asdict(item) for item in items],
    }


def _stretch(recording: Path, row: Any) -> audio.Samples:
    end = min(row.end, row.start + FLOOR_SECONDS)
    samples, rate = audio.read_span(recording, row.start, end)
    return audio.resample(samples, rate, TTS_RATE)


def _figures(verdicts: Sequence[Verdict], seed: int) -> dict[str, Any]:
    return dataclasses.asdict(means(verdicts, seed))


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
