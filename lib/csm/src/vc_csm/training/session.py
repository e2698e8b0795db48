"""One run from command line to adapter: resolve, load, check, train, write."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from vc_core import devices, files, log, records
from vc_core.errors import InputError, StageError
from vc_csm import codes, csm
from vc_csm.codes import CodecInfo
from vc_csm.options import FAMILY, CsmTraining
from vc_csm.training import adapter, backends, checks, data, fused, loop, presets
from vc_csm.training.data import Clips
from vc_csm.training.listening import CsmListener
from vc_csm.training.presets import Preset
from vc_csm.training.settings import Settings
from vc_speech import pretrained
from vc_speech.training import checkpoint, choice, parallel
from vc_speech.training.parallel import Group
from vc_speech.training.record import losses
from vc_speech.training.resources import out_of_memory, span
from vc_speech.training.stop import Stop
from vc_speech.training.trackers import Trackers
from vc_speech.tts import TrainingJob

logger = log.get("train")

# What --precision asks of the weights that stay as they are.
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
COMPILE_FROM = 200  # steps; fewer do not pay for what the compiler takes

# A CSM of so few parameters, such as the one that ships for tests, speaks noise.
NOISE_BELOW = 10_000_000
NOISE = (
    "This base model proves the mechanics, not the voice. It is a tiny model that ships with the "
    "pipeline, so that every stage runs without a network; its speech is noise. For the real "
    "voice set models: {tts: unsloth/csm-1b} in the configuration and run again, best on a GPU."
)


def run(job: TrainingJob) -> dict[str, Any] | None:
    """Train as the job says, alone or with other processes; returns the figures."""
    training = job.training
    assert isinstance(training, CsmTraining)
    device = devices.choose(job.device)
    with parallel.workers(training.processes, device, job.again):
        group = Group(device)
        if not group.first:
            parallel.follow_parent()
        stop = Stop()
        with stop.listening():
            return _run(job, training, group, stop)


def _run(
    job: TrainingJob, training: CsmTraining, group: Group, stop: Stop
) -> dict[str, Any] | None:
    clips, codec = codes.read(job.prepared)
    # Subnormal numbers slow CPUs down and change nothing.
    torch.set_flush_denormal(True)
    preset = presets.choose(training.preset, _memory_gb(group.device))
    plan = resolve(training, preset, group.device)
    dtype = DTYPES[plan["precision"]] if group.device != "cpu" else "float32"
    base = backends.load(job.base_model, plan["backend"], group.device, dtype, plan["quantize"])
    if group.device == "cpu":
        plan["precision"] = cpu_precision(training.precision, base)
    if plan["precision"] == "bf16" and plan["quantize"] == "none":
        backends.to_bfloat16(base)
    chosen = data.select(clips, codec, base, training.max_seconds)
    settings = settings_of(job, training, plan, base, len(chosen.train))
    model = lay_over(base, settings)
    if settings.backend == "peft" and (group.device != "cpu" or settings.compile == "on"):
        join(model, training.compile, settings.compile == "on")
    _tell(model, chosen, settings, preset, group)
    place = job.checkpoints / settings.fingerprint()
    others = [x for x in job.checkpoints.glob("*") if x != place and x.is_dir()]
    if others and not checkpoint.newest(place):
        logger.warning(
            "%s: checkpoints of other settings; starting anew beside them", job.checkpoints
        )

    longest = preset.longest_clips if preset else settings.batch_size
    budget = min(longest, settings.clips_a_step) * chosen.longest
    made = run_of(job, model, chosen, settings, group, place, stop, budget)
    if not loop.resume(made) and settings.self_test:
        check(made)
    if group.first:
        made.trackers = Trackers(
            place / "tensorboard", job.voice or "voice", settings.model_dump(), made.progress.step
        )
    try:
        loop.train(made)
    finally:
        if made.trackers:
            made.trackers.close()
    return write(job, made, codec) if group.first else None


def resolve(training: CsmTraining, preset: Preset | None, device: str) -> dict[str, Any]:
    """What ``auto`` means here: for every option that can be, its value."""
    cuda = device.startswith("cuda")
    backend = backends.choose(training.backend, "cuda" if cuda else "cpu")
    precision: str = training.precision
    if precision == "auto":
        can = cuda and torch.cuda.is_bf16_supported()
        precision = "bf16" if can else ("fp16" if cuda else "fp32")
    quantize: str = training.quantize
    if quantize == "auto":
        quantize = preset.quantize if preset else "none"
    checkpointing: str = training.gradient_checkpointing
    if checkpointing == "auto":
        checkpointing = "on" if preset and preset.gradient_checkpointing else "off"
    compiled: str = training.compile
    if compiled == "auto":
        plain = backend == "peft" and quantize == "none" and not training.lora_dropout
        long = training.max_steps >= COMPILE_FROM
        compiled = "on" if cuda and plain and long else "off"
    if compiled == "on" and backend == "unsloth":
        raise InputError("--compile on: Unsloth compiles by itself; use auto, or --backend peft")
    optimizer: str = training.optimizer
    if optimizer == "auto":
        optimizer = preset.optimizer if preset else "adamw"
        if not backends.has_bitsandbytes():
            optimizer = "adamw"
    return {
        "backend": backend,
        "precision": precision,
        "quantize": quantize,
        "gradient_checkpointing": checkpointing,
        "compile": compiled,
        "optimizer": optimizer,
    }


def cpu_precision(wanted: str, base: csm.Csm) -> str:
    """What ``auto`` means on a CPU: bf16 where it multiplies that faster, for all but small models.

    With AVX512-BF16 or AMX a step takes less than half the time of float32.
    """
    if wanted != "auto":
        return wanted
    large = base.model.num_parameters() >= pretrained.SMALL
    return "bf16" if large and pretrained.fast_bfloat16() else "fp32"


def settings_of(
    job: TrainingJob, training: CsmTraining, plan: dict[str, Any], base: csm.Csm, clips: int
) -> Settings:
    """The run's settings, with nothing left on ``auto`` and epochs counted in steps."""
    given = training.model_dump() | plan
    if training.epochs:
        clips_a_step = training.batch_size * training.gradient_accumulation
        given["max_steps"] = data.epochs_to_steps(training.epochs, clips, clips_a_step)
    given["targets"] = training.targets or csm.LORA_TARGETS
    return Settings(
        **given,
        base_model=job.base_model,
        base_weights=adapter.base_fingerprint(base),
        codes=files.sha256(job.prepared)[:16],
    )


def lay_over(base: csm.Csm, settings: Settings) -> csm.Csm:
    """The base with LoRA on it; raises InputError when --targets match nothing, or the codec."""
    try:
        model = backends.lay_over(
            base,
            settings.backend,
            r=settings.lora_r,
            alpha=settings.lora_alpha,
            dropout=settings.lora_dropout,
            targets=settings.targets,
            seed=settings.seed,
            gradient_checkpointing=settings.gradient_checkpointing == "on",
            base_name=settings.base_model,
        )
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--targets {settings.targets!r}: cannot be adapted ({reason})") from None
    names = [name for name, weight in model.model.named_parameters() if weight.requires_grad]
    if any("codec_model" in name for name in names):
        raise InputError(
            f"--targets {settings.targets!r}: matches the codec, whose codes would then mean "
            "something else; begin it with (backbone_model|depth_decoder)"
        )
    return model


def run_of(
    job: TrainingJob,
    model: csm.Csm,
    clips: Clips,
    settings: Settings,
    group: Group,
    place: Path,
    stop: Stop,
    budget: int,
) -> loop.Run:
    """Everything a run needs, and who listens, in the first process, if somebody does."""
    listener = None
    if not clips.validation:
        logger.warning("no validation clips: the last step's adapter is kept, whatever it learnt")
    elif group.first and settings.samples:
        listener = CsmListener(
            model,
            clips,
            settings.samples,
            listener=job.listener,
            encoder=job.encoder,
            language=job.language,
            seed=settings.seed,
        )
    # Whisper's engine sets the threads of the whole process; a small CSM takes them back.
    pretrained.settle_threads(csm.base_of(model.model))
    return loop.Run(
        model=model,
        clips=clips,
        settings=settings,
        optimizer=backends.optimizer(
            loop.trained(model), settings.optimizer, settings.weight_decay
        ),
        scaler=torch.amp.GradScaler(
            group.device.split(":")[0], init_scale=2.0**12, enabled=settings.precision == "fp16"
        ),
        group=group,
        checkpoints=place,
        stop=stop,
        progress=loop.CsmProgress(budget=budget),
        listener=listener,
    )


def check(run: loop.Run) -> None:
    """Self-tests and the estimate; lowers the progress' budget to what fits the memory."""
    checks.run(run.model, run.clips, run.settings)
    while True:
        try:
            estimate = checks.estimate(run.model, run.clips, run.settings, run.progress.budget)
            short = False
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            run.model.model.zero_grad()
            short = True
        (short,) = run.group.any(short)
        if not short:
            break
        loop.halve(run.progress, run.clips)
    logger.info(
        "self-tests passed; about %s for %d steps at %.0f frames/s, without spoken samples; "
        "%.1f GB of memory",
        *(span(estimate.seconds / run.group.size), run.settings.max_steps),
        *(estimate.frames_a_second * run.group.size, estimate.memory_gb),
    )


def join(model: csm.Csm, wanted: str, compiled: bool) -> None:
    """Join the projections of the layers; InputError where compiling was asked for in vain."""
    joined = fused.replace(model, compiled)
    if wanted == "on" and not joined:
        raise InputError(
            "--compile on: compiles layers under LoRA without dropout, over whole weights, on all "
            "projections; use --compile auto, or leave --lora-dropout, --quantize and --targets out"
        )
    logger.debug("%d blocks have joined projections", joined)


def write(job: TrainingJob, run: loop.Run, codec: CodecInfo) -> dict[str, Any]:
    """Write the adapter's folder and remove the checkpoints; returns the figures."""
    model, clips, settings, progress = run.model, run.clips, run.settings, run.progress
    validations = progress.validations
    kept = choice.chosen(validations)
    kept_step = kept["step"] if kept else progress.step
    if kept_step == 0:
        logger.warning("validation loss never fell below the base's; the adapter changes nothing")
    told = losses(validations, kept)
    figures = {
        "device": csm.base_of(model.model).device.type,
        "backend": settings.backend,
        "precision": settings.precision,
        "clips": {
            "train": len(clips.train),
            "validation": len(clips.validation),
            "too_long": clips.too_long,
        },
        "steps": progress.step,
        "kept_step": kept_step,
        "chosen_by": "score" if kept and "similarity" in kept else "validation loss",
        "trainable": sum(weight.numel() for weight in loop.trained(model)),
        "training_seconds": round(progress.seconds, 1),
        "frames": sum(row.get("frames", 0) for row in progress.rows),
        "val_loss": told,
    }
    if figures["device"] == "cuda":
        figures["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    record = {
        "family": FAMILY.name,
        "family_title": FAMILY.title,
        "base_model": job.base_model,
        **_notice(model),
        "voice": job.voice,
        "consent": job.consent,
        # Whose judgement chose the checkpoint; it must not be the one that scores the voice.
        "encoder": job.encoder if run.listener else "",
        "letters_a_second": clips.letters_a_second(),
        "settings": settings.model_dump(),
        **figures,
        "peak_memory_mb": round(records.peak_memory_mb(), 1),
        "processor": {
            "of": job.base_model,
            "tokenizer": type(model.processor.tokenizer).__name__,
            "vocabulary": len(model.processor.tokenizer),
        },
        "codec": dataclasses.asdict(codec),
        "versions": records.versions("vc-csm"),
    }
    try:
        with files.atomic_folder(job.output) as partial:
            adapter.write(partial, model, record, progress.rows, run.checkpoints)
    except checkpoint.UNWRITABLE as error:
        raise StageError(
            f"{job.output}: cannot be written ({error}); make room, and run the same command "
            "again: it goes on from its last checkpoint"
        ) from error
    checkpoint.discard(run.checkpoints)
    logger.info(
        "wrote %s (step %d of %d by %s%s)",
        *(job.output, kept_step, progress.step, figures["chosen_by"]),
        f", validation loss {told['first']:.4f} to {told['kept']:.4f}" if kept else "",
    )
    return figures


def _notice(model: csm.Csm) -> dict[str, str]:
    """What people are to be told of the base model; nothing of most."""
    noise = csm.base_of(model.model).num_parameters() < NOISE_BELOW
    return {"notice": NOISE} if noise else {}


def _tell(
    model: csm.Csm, clips: Clips, settings: Settings, preset: Preset | None, group: Group
) -> None:
    weights = loop.trained(model)
    logger.info(
        "%d clips to train on, %d to validate on, %d too long; %d of %d numbers train",
        *(len(clips.train), len(clips.validation), clips.too_long),
        *(sum(weight.numel() for weight in weights), model.model.num_parameters()),
    )
    logger.info(
        "%s on %s, %s, base weights %s, preset %s, %d process(es)",
        *(settings.backend, group.device, settings.precision),
        *("quantised to " + settings.quantize if settings.quantize != "none" else "whole",),
        *(preset.name if preset else "none", group.size),
    )


def _memory_gb(device: str) -> float | None:
    """The GPU's whole memory in GB; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    return torch.cuda.get_device_properties(device).total_memory / 2**30
