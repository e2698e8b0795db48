"""One run from options to adapter: load, choose the start, check, fit, write."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vc_core import audio, devices, files, log, records
from vc_core.audio import ENGINE_RATE, TTS_RATE
from vc_core.errors import InputError, StageError
from vc_core.manifests import spread
from vc_kokoro import phonemes, prepared, stock, weights
from vc_kokoro.losses import SpeakerDistance
from vc_kokoro.options import FAMILY, KokoroSpeaking, KokoroTraining
from vc_kokoro.prepared import Clip, Info
from vc_kokoro.threads import cores, settle
from vc_kokoro.training import card, checks, crops, loop, prosody
from vc_kokoro.training.fitted import Fitted
from vc_kokoro.training.loop import Run
from vc_kokoro.training.settings import Settings
from vc_kokoro.voice import KokoroVoice, has_fast_bfloat16
from vc_kokoro.weights import Base
from vc_speech import encoders, speakers
from vc_speech.training import checkpoint, choice, parallel
from vc_speech.training.checkpoint import Progress
from vc_speech.training.listening import TARGET_CLIPS, Listener, Say
from vc_speech.training.parallel import Group
from vc_speech.training.record import losses
from vc_speech.training.rows import Row
from vc_speech.training.stop import Stop
from vc_speech.training.trackers import Trackers
from vc_speech.tts import Said, TrainingJob

logger = log.get("train")


def run(job: TrainingJob) -> dict[str, Any] | None:
    """Fit as the job says, alone or with other processes; returns the figures."""
    training = job.training
    assert isinstance(training, KokoroTraining)
    device = devices.choose(job.device)
    most = cores() if device == "cpu" else torch.cuda.device_count()
    with parallel.workers(min(training.processes, most), device, job.again):
        group = Group(device)
        if not group.first:
            parallel.follow_parent()
        stop = Stop()
        with stop.listening():
            return _run(job, training, group, stop)


def _run(
    job: TrainingJob, training: KokoroTraining, group: Group, stop: Stop
) -> dict[str, Any] | None:
    clips, info = prepared.read(job.prepared)
    if not group.first:
        group.any(False)  # until the first has made what is made once
    base = weights.load(job.base_model, group.device)
    _check(clips, info, base, job)
    if group.first:
        stock.speech(base, info.language)
        group.any(False)
    encoder = encoders.load(job.encoder)
    target = _centroid(encoder, clips)
    parts, start = stock.mixture(base, info.language, info.f0, encoder, target)
    logger.info("starting from %s", _told(parts))
    fitted = Fitted(base, start, _spread(base, info), training)
    train, validation = crops.examples(clips, fitted)
    settings = settings_of(job, training, info, len(train), group.device)
    place = job.checkpoints / settings.fingerprint()
    made = Run(
        fitted=fitted,
        train=train,
        validation=validation,
        settings=settings,
        optimizer=loop.optimizer(fitted.sound_parameters()),
        speaker=_speaker(encoder, target, settings, fitted),
        group=group,
        checkpoints=place,
        stop=stop,
        progress=Progress(),
        say=_say(fitted, info),
    )
    if group.first:
        made.listener = _listener(job, made)
    settle(group.device)  # Whisper's engine sets the threads of the whole process
    if not loop.resume(made):
        checks.run(made)
    if group.first:
        made.trackers = Trackers(
            place / "tensorboard", job.voice or "voice", settings.model_dump(), made.progress.step
        )
    try:
        loop.train(made)
        if not group.first:
            return None
        kept = choice.chosen(made.progress.validations)
        manner = prosody.fit_as_understood(made, kept)
    finally:
        if made.trackers:
            made.trackers.close()
    return write(job, made, info, parts, kept, manner)


def settings_of(
    job: TrainingJob, training: KokoroTraining, info: Info, clips: int, device: str
) -> Settings:
    """The run's settings, with nothing left on ``auto`` and epochs counted in steps."""
    given = training.model_dump()
    if training.precision == "auto":
        given["precision"] = "bf16" if has_fast_bfloat16(device) else "fp32"
    if training.epochs:
        a_step = training.batch_size * training.gradient_accumulation
        given["max_steps"] = max(1, round(training.epochs * clips / a_step))
    return Settings(
        **given,
        base_model=job.base_model,
        base_weights=info.fingerprint,
        encoder=job.encoder,
        clips=files.sha256(job.prepared)[:16],
    )


def write(
    job: TrainingJob,
    run: Run,
    info: Info,
    parts: dict[str, float],
    kept: Row | None,
    manner: Row,
) -> dict[str, Any]:
    """Write the adapter's folder and remove the checkpoints; returns the figures."""
    fitted, settings, progress = run.fitted, run.settings, run.progress
    listened = kept is not None and "similarity" in kept
    figures: dict[str, Any] = {
        "device": fitted.device.type,
        "precision": settings.precision,
        "clips": {"train": len(run.train), "validation": len(run.validation)},
        "seconds_of_clips": round(sum(len(one.samples) for one in run.train) / TTS_RATE, 1),
        "steps": progress.step,
        "kept_step": kept["step"] if kept else progress.step,
        "chosen_by": "score" if listened else "validation loss",
        "trainable": sum(value.numel() for value in fitted.state().values()),
        "training_seconds": round(progress.seconds, 1),
        "prosody": manner,
        "val_loss": losses(progress.validations, kept),
    }
    if figures["device"] == "cuda":
        figures["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    record = {
        "family": FAMILY.name,
        "family_title": FAMILY.title,
        "base_model": job.base_model,
        "base_weights": info.fingerprint,
        "mixture": parts,
        "f0": info.f0,
        "language": info.language,
        "encoder": job.encoder,
        "voice": job.voice,
        "consent": job.consent,
        "settings": settings.model_dump(),
        **figures,
        "peak_memory_mb": round(records.peak_memory_mb(), 1),
        "versions": records.versions("vc-kokoro"),
    }
    try:
        with files.atomic_folder(job.output) as partial:
            card.write(partial, fitted, record, progress.rows, run.checkpoints)
    except checkpoint.UNWRITABLE as error:
        raise StageError(
            f"{job.output}: cannot be written ({error}); make room, and run the same command "
            "again: it goes on from its last checkpoint"
        ) from error
    checkpoint.discard(run.checkpoints)
    logger.info(
        "wrote %s (step %d of %d by %s, %.0f %% of the prosody)",
        *(job.output, figures["kept_step"], progress.step, figures["chosen_by"]),
        100 * manner["share"],
    )
    return figures


def _check(clips: list[Clip], info: Info, base: Base, job: TrainingJob) -> None:
    phonemes.check(info.language)
    if info.fingerprint != weights.fingerprint(base):
        raise InputError(
            f"{job.prepared}: aligned by another base model ({info.model}) than "
            f"{job.base_model}; run vc-encode with this base model"
        )
    if not any(clip.split == "train" for clip in clips):
        raise InputError(f"{job.prepared}: no clip of the train split; make the dataset anew")


def _centroid(encoder: speakers.SpeakerEncoder, clips: list[Clip]) -> speakers.Vector:
    """The target's voice, from the clips to train on."""
    train = spread([clip for clip in clips if clip.split == "train"], 2 * TARGET_CLIPS)
    heard = [
        encoder.embed(audio.resample(clip.aligned.samples.numpy(), TTS_RATE, ENGINE_RATE))
        for clip in train
    ]
    return speakers.centroid(np.stack(heard))


def _spread(base: Base, info: Info) -> Tensor:
    """How stock voices differ from each other, [256]."""
    return torch.stack(list(base.voices(info.language).values()))[:, weights.MIDDLE].std(0)


def _speaker(
    encoder: speakers.SpeakerEncoder, target: speakers.Vector, settings: Settings, fitted: Fitted
) -> SpeakerDistance | None:
    if not settings.speaker_weight:
        return None
    if not isinstance(encoder, encoders.CamPlusPlus):
        logger.warning("only package:campplus teaches; this encoder chooses the checkpoint alone")
        return None
    return SpeakerDistance(encoder, torch.from_numpy(target), fitted.device)


def _listener(job: TrainingJob, run: Run) -> Listener | None:
    if not run.validation:
        logger.warning("no validation clips: the last step's voice is kept, whatever it learnt")
        return None
    if not run.settings.samples:
        return None
    target = [example.samples.cpu().numpy() for example in spread(run.train, TARGET_CLIPS)]
    texts = [example.clip.text for example in spread(run.validation, run.settings.samples)]
    return Listener(
        target,
        texts,
        listener=job.listener,
        encoder=job.encoder,
        language=job.language,
        seed=run.settings.seed,
        model=run.settings.base_model,
    )


def _say(fitted: Fitted, info: Info) -> Say:
    """Speech of the model as it is now."""

    def say(texts: Any, seeds: Any) -> list[Said]:
        how = KokoroSpeaking.model_validate({})
        voice = KokoroVoice(fitted.network, fitted.voice().detach(), info.language, how)
        return voice.speak(texts, seeds)

    return say


def _told(parts: dict[str, float]) -> str:
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    return ", ".join(f"{100 * part:.0f} % {name}" for name, part in ordered[:5])
