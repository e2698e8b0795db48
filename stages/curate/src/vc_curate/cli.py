"""Cut the target's speech into clips of 1 to 10 s worth learning from, and account for the rest."""

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_core import cli, log
from vc_core.errors import InputError
from vc_speech import speakers

if TYPE_CHECKING:
    from vc_curate.judge import Judge, Judged

logger = log.get("curate")

# What to loosen when a reason took most of the target's seconds.
LOOSEN = {
    "low_similarity": "lower --min-similarity, or give a reference of the same microphone",
    "low_confidence": "lower --min-confidence, or transcribe with a larger model",
    "low_quality": "lower --min-dnsmos, or separate the voice with a stronger model",
    "low_snr": "lower --min-snr",
    "low_bandwidth": "lower --min-bandwidth",
    "clipped": "raise --max-clipped, or find a recording that is not overdriven",
    "captions_differ": "raise --max-disagreement, or transcribe without the captions",
    "wrong_language": "check the voice's language",
    "hallucination": "transcribe with a larger model",
    "no_words": "transcribe with a larger model, and check the voice's language",
    "too_short": "lower --min-seconds",
    "too_long": "raise --max-seconds, up to 10",
    "overlap": "find a recording in which the target speaks alone",
    "by_hand": "check the corrections",
}


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-curate", __doc__)
    parser.add_argument("vocals", type=cli.existing, help="the recording's voices alone")
    parser.add_argument("segments", type=cli.existing, help="who speaks when, from vc-segment")
    parser.add_argument("words", type=cli.existing, help="the target's words, from vc-transcribe")
    parser.add_argument(
        "--reference", type=cli.existing, required=True, help="the target speaking alone"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder for the clips, metadata.jsonl and ledger.jsonl",
    )
    parser.add_argument("--voice", required=True, help="name of the voice")
    parser.add_argument("--source", required=True, help="id of the source")
    parser.add_argument("--licence", default="", help="licence of the recording")
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    parser.add_argument(
        "--encoder", default=speakers.DEFAULT_ENCODER, help="speaker encoder, by name"
    )
    parser.add_argument(
        "--corrections",
        type=cli.existing,
        help="what people say of the clips: tab-separated clip, text, keep, with that header",
    )
    parser.add_argument(
        "--rejected",
        action="store_true",
        help="write the clips that were turned down, too: rejected/ and rejected.jsonl",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--min-seconds", type=float, default=1.0, help="shortest clip")
    limits.add_argument("--max-seconds", type=float, default=10.0, help="longest clip")
    limits.add_argument(
        "--min-similarity",
        type=speakers.cosine_or_auto,
        default="auto",
        help="least cosine to the reference; auto: what the encoder is known for",
    )
    limits.add_argument(
        "--min-confidence", type=float, default=0.6, help="least mean word probability"
    )
    limits.add_argument(
        "--min-dnsmos",
        type=_dnsmos_or_auto,
        default="auto",
        help="least overall DNSMOS; auto: 2.2, or less in a noisy recording",
    )
    limits.add_argument(
        "--min-snr",
        type=float,
        default=0.0,
        help="least speech over noise, dB; 0: whatever is heard",
    )
    limits.add_argument(
        "--min-bandwidth",
        type=float,
        default=0.0,
        help="least frequency, Hz, that speech reaches; 0: any, also a telephone's 3400",
    )
    limits.add_argument(
        "--max-clipped",
        type=float,
        default=0.001,
        help="largest share of samples at full scale or in flat tops",
    )
    limits.add_argument(
        "--max-disagreement",
        type=float,
        default=0.5,
        help="largest word error rate between captions and what was heard",
    )
    finish = parser.add_argument_group("finish")
    finish.add_argument(
        "--silence", type=float, default=0.15, help="seconds of pause kept at either end"
    )
    finish.add_argument("--loudness", type=float, default=-23.0, help="loudness of clips, LUFS")
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Cut, judge, write clips and ledger; returns counts and seconds by fate.

    Without one good clip the ledger stands beside the output: OUTPUT.ledger.jsonl.
    """
    from vc_core import audio, files, ledger, manifests
    from vc_curate import corrections, cut, output, sound
    from vc_curate.judge import usual_dnsmos

    segments = manifests.read_rows(args.segments, manifests.Segment)
    words = manifests.read_rows(args.words, manifests.Word)
    told = corrections.read(args.corrections) if args.corrections else []
    judge = _judge(args)
    limits = cut.Limits(args.min_seconds, args.max_seconds, args.silence)
    origin = output.Origin(args.voice, args.source, args.licence, args.language)
    beside = args.output.with_name(args.output.name + ".ledger.jsonl")
    beside.unlink(missing_ok=True)
    with audio.opened(args.vocals, seekable=True) as file:
        spoken = [(row.start, row.end) for row in segments if row.label == "target"]
        said = [(word.start, word.end) for word in words]
        envelope = sound.Envelope(sound.measure(file), spoken, said)
        cuts = cut.into_clips(segments, words, envelope, limits)
        matched = corrections.match(told, args.source, [one.start for one in cuts.candidates])
        read = functools.partial(audio.read_span, Path(file.name))
        judged = [
            judge.judge(one, *read(one.start, one.end), matched.get(number))
            for number, one in enumerate(log.progress(cuts.candidates, desc="clips", unit="clip"))
        ]
        usual = usual_dnsmos(judged)
        judged = _without_the_worst(judged, usual, args)
        rows = output.ledger_rows(segments, cuts.dropped, judged, args.source)
        ledger.check(rows, round(segments[-1].end, 6) if segments else 0.0)
        if all(one.reason is not None for one in judged):
            manifests.write_rows(beside, rows)
            raise _nothing(args.vocals, ledger.seconds_by_reason(rows), beside)
        with files.atomic_folder(args.output) as folder:
            clips = output.write(folder, judged, read, origin, args.loudness, args.rejected)
            manifests.write_rows(folder / "ledger.jsonl", rows)
    seconds = ledger.seconds_by_reason(rows)
    logger.info("wrote %s (%d clips, %.1f s)", args.output, len(clips), seconds["kept"])
    return {
        "clips": len(clips),
        "rejected": len(judged) - len(clips),
        "corrected": len(matched),
        "seconds": seconds,
        "usual_dnsmos": usual,
    }


def _dnsmos_or_auto(text: str) -> float | str:
    """Argument type of ``--min-dnsmos``."""
    return text if text == "auto" else float(text)


def _judge(args: argparse.Namespace) -> "Judge":
    """The judge that the options ask for, who knows the reference."""
    from vc_core import audio
    from vc_curate.judge import Judge, Rules

    encoder = speakers.load(args.encoder)
    asked = speakers.threshold(encoder, "clip", args.min_similarity, "--min-similarity")
    rules = Rules(
        min_similarity=asked,
        min_confidence=args.min_confidence,
        min_dnsmos=None if args.min_dnsmos == "auto" else args.min_dnsmos,
        min_snr=args.min_snr,
        min_bandwidth=args.min_bandwidth,
        max_clipped=args.max_clipped,
        max_disagreement=args.max_disagreement,
        language=args.language,
    )
    return Judge(encoder, encoder.embed(audio.read(args.reference, audio.ENGINE_RATE)[0]), rules)


def _without_the_worst(
    judged: "list[Judged]", usual: float | None, args: argparse.Namespace
) -> "list[Judged]":
    """What stays when auto rules the worst out; warns of a noisy recording."""
    from vc_curate.judge import CLEAN, without_the_worst

    if usual is not None and usual < CLEAN:
        logger.warning(
            "%s: sounds noisy: DNSMOS %.2f in the median, clean speech has %.1f and more; "
            "what is learnt from it will sound so",
            args.vocals,
            usual,
            CLEAN,
        )
    return without_the_worst(judged) if args.min_dnsmos == "auto" else judged


def _nothing(vocals: Path, seconds: dict[str, float], where: Path) -> InputError:
    """Says where the target's seconds went, and what would win the most of them."""
    lost = {name: value for name, value in seconds.items() if name in LOOSEN}
    if not lost:
        return InputError(f"{vocals}: the target speaks nowhere in it; check the reference slice")
    told = ", ".join(f"{value:.1f} s {name}" for name, value in lost.items())
    return InputError(
        f"{vocals}: no clip is good enough; of the target's speech went {told}; "
        f"{LOOSEN[next(iter(lost))]}; every second is in {where}"
    )


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
