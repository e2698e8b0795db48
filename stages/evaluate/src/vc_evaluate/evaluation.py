"""The evaluation: every variant speaks every text, real speech gives ceiling and floor."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vc_core import audio, files, log
from vc_core.audio import TTS_RATE
from vc_core.manifests import spread
from vc_csm import csm
from vc_evaluate import data, variants
from vc_evaluate.data import Clip
from vc_evaluate.variants import Sampling
from vc_speech import label, pretrained, speakers, watermark, whisper
from vc_speech.judge import Judge, Verdict, means

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


@dataclasses.dataclass(frozen=True)
class _Bench:
    """What every variant is tried with."""

    texts: Sequence[Clip]
    model: csm.Csm
    context: Sequence[csm.Utterance]
    judge: Judge
    how: Sampling
    folder: Path


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate as the command line says; writes the speech folder and the scores."""
    watermark.check()
    notes: list[str] = []
    texts, split = data.choose_texts(args.dataset, args.max_texts)
    if split != "test":
        notes.append(
            "The test split is empty: texts come from validation, which chose the adapter."
        )
    stretches = data.others(args.vocals, args.segments, FLOOR_STRETCHES)
    reference, _ = audio.read(args.reference, TTS_RATE)
    target = [clip.samples for clip in spread(data.read_split(args.dataset, "train"), TARGET_CLIPS)]
    if not target:
        notes.append("No training clip: similarity is to the reference recording alone.")

    device = pretrained.choose_device(args.device)
    # Whisper's engine sets the threads of the whole process, and a small CSM then takes them back.
    hear = whisper.Transcriber(args.whisper, device)
    dtype = csm.speaking_dtype(device)
    model = csm.load(args.base_model, device, dtype, adapter=str(args.adapter))
    language = texts[0].language
    encoder = speakers.load(args.encoder, device)
    judge = Judge(encoder, hear, target or [reference], language)
    context = []
    if any(name.endswith("+context") for name in args.variants):
        context = [csm.context_of(model, args.reference, args.reference_text)]

    ceiling = [judge.judge(clip.samples, clip.text) for clip in texts]
    floor = [judge.judge(_stretch(*found), None) for found in stretches]
    if not floor:
        notes.append(f"No floor: {_why_no_floor(args)}.")

    spoken: dict[str, Any] = {}
    folder = args.speech_dir or args.output.with_name("evaluation")
    with files.atomic_folder(folder) as partial:
        slowest = csm.slowest(args.adapter)
        how = Sampling(args.seed, args.temperature, args.top_k, slowest)
        bench = _Bench(texts, model, context, judge, how, partial)
        for name in args.variants:
            if name.startswith("lora"):
                # The base has spoken by now: its variants come first.
                bench = dataclasses.replace(bench, model=csm.merged(bench.model))
            spoken[name] = _variant(name, bench)
            logger.info("%s", _line(name, spoken[name]))
        files.write_json(
            args.output,
            {
                "voice": texts[0].voice,
                "texts": len(texts),
                "split": split,
                "variants": spoken,
                "ceiling": _figures(ceiling, args.seed),
                "floor": _figures(floor, args.seed) if floor else None,
                "encoder": args.encoder,
                "whisper": args.whisper,
                "base_model": args.base_model,
                "adapter": str(args.adapter),
                "notes": notes,
            },
        )
    logger.info("wrote %s; what was spoken lies in %s", args.output, folder)
    return {
        "device": device,
        "texts": len(texts),
        "utterances": len(texts) * len(spoken),
        "target_clips": len(target),
        "floor_stretches": len(floor),
        "similarity": {name: told["similarity"] for name, told in spoken.items()},
    }


def _variant(name: str, bench: _Bench) -> dict[str, Any]:
    """Let one variant speak all texts into the bench's folder; returns its means and items."""
    items, verdicts = [], []
    place = name.replace("+", "-")
    asked = [clip.text for clip in bench.texts]
    said, took = variants.speak(bench.model, name, bench.context, asked, bench.how)
    heard = log.progress(zip(asked, said, strict=True), desc=name, unit="text", total=len(asked))
    for number, (text, spoken) in enumerate(heard):
        file = f"{place}/{number:03d}.wav"
        (bench.folder / file).parent.mkdir(exist_ok=True)
        label.write(bench.folder / file, spoken.samples, bench.model.name)
        verdict = bench.judge.judge(spoken.samples, text)
        verdicts.append(verdict)
        items.append(
            Item(
                text=text,
                file=file,
                similarity=round(verdict.similarity, 4),
                wer=None if verdict.wer is None else round(verdict.wer, 4),
                dnsmos=round(verdict.dnsmos, 4),
                stopped=spoken.stopped_by_itself,
                seconds=round(len(spoken.samples) / TTS_RATE, 3),
                heard=verdict.heard,
            )
        )
    seconds = sum(item.seconds for item in items)
    return {
        **_figures(verdicts, bench.how.seed),
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


def _why_no_floor(args: argparse.Namespace) -> str:
    if not args.vocals:
        return "no recordings were given with --vocals and --segments"
    return f"nobody else speaks for {data.MIN_OTHER_SECONDS:g} s in the recordings"


def _line(name: str, told: dict[str, Any]) -> str:
    wer = "-" if told["wer"] is None else f"{told['wer']:.0%}"
    return (
        f"{name}: similarity {told['similarity']:.2f}, word errors {wer}, "
        f"DNSMOS {told['dnsmos']:.2f}, stopped by itself {told['stop_rate']:.0%}"
    )
