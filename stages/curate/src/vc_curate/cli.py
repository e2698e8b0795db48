"""Cut the target's speech into clips of 1 to 10 s worth learning from, and account for the rest."""

import functools
from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_core.errors import InputError
from vc_curate.options import CurateOptions

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


def build_parser() -> options.Parser:
    """The command's arguments and options."""
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
    parser.add_argument(
        "--corrections",
        type=cli.existing,
        help="what people say of the clips: tab-separated clip, text, keep, with that header",
    )
    options.add(parser, CurateOptions)
    return parser


def work(
    vocals: Path,
    segments: Path,
    words: Path,
    reference: Path,
    output: Path,
    voice: str,
    source: str,
    corrections: Path | None,
    options: CurateOptions,
) -> dict[str, Any]:
    """Cut, judge, write clips and ledger; returns counts and seconds by fate.

    Without one good clip the ledger stands beside the output: OUTPUT.ledger.jsonl.
    """
    from vc_core import audio, files, ledger, manifests
    from vc_curate import cut, sound
    from vc_curate.corrections import match
    from vc_curate.corrections import read as read_corrections
    from vc_curate.judge import Judge, usual_dnsmos, without_the_worst
    from vc_curate.output import Origin, ledger_rows, write
    from vc_speech import encoders

    rows = manifests.read_rows(segments, manifests.Segment)
    said = manifests.read_rows(words, manifests.Word)
    told = read_corrections(corrections) if corrections else []
    encoder = encoders.load(options.encoder)
    target = encoder.embed(audio.read(reference, audio.ENGINE_RATE)[0])
    judge = Judge(encoder, target, options)
    beside = output.with_name(output.name + ".ledger.jsonl")
    beside.unlink(missing_ok=True)
    with audio.opened(vocals, seekable=True) as file:
        cuts = cut.into_clips(rows, said, sound.envelope(file, rows, said), options)
        matched = match(told, source, [one.start for one in cuts.candidates])
        read = functools.partial(audio.read_span, Path(file.name))
        judged = [
            judge.judge(one, *read(one.start, one.end), matched.get(number))
            for number, one in enumerate(log.progress(cuts.candidates, desc="clips", unit="clip"))
        ]
        usual = usual_dnsmos(judged)
        _warn_of_noise(vocals, usual)
        if options.min_dnsmos == "auto":
            judged = without_the_worst(judged)
        fates = ledger_rows(rows, cuts.dropped, judged, source)
        ledger.check(fates, round(rows[-1].end, 6) if rows else 0.0)
        if all(one.reason is not None for one in judged):
            manifests.write_rows(beside, fates)
            raise _nothing(vocals, ledger.seconds_by_reason(fates), beside)
        with files.atomic_folder(output) as folder:
            clips = write(folder, judged, read, Origin(voice, source), options)
            manifests.write_rows(folder / "ledger.jsonl", fates)
    seconds = ledger.seconds_by_reason(fates)
    logger.info("wrote %s (%d clips, %.1f s)", output, len(clips), seconds["kept"])
    return {
        "clips": len(clips),
        "rejected": len(judged) - len(clips),
        "corrected": len(matched),
        "seconds": seconds,
        "usual_dnsmos": usual,
    }


def _warn_of_noise(vocals: Path, usual: float | None) -> None:
    """Say that a recording sounds noisy, by the median DNSMOS of its clips."""
    from vc_curate.judge import CLEAN

    if usual is not None and usual < CLEAN:
        logger.warning(
            "%s: sounds noisy: DNSMOS %.2f in the median, clean speech has %.1f and more; "
            "what is learnt from it will sound so",
            vocals,
            usual,
            CLEAN,
        )


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
