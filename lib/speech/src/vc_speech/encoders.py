"""The speaker encoders that come with the project's packages, and those of the Hub.

Their thresholds were measured on 40 speakers of LibriSpeech and one TTS speaker, clean, in a room
(RT60 0.6 s), with pink noise at 10 dB and over a telephone, each against 5 to 12 s of the same
speaker under the same condition and of all the others. With CAM++ 99 % of 3 s clips pass 0.64, of
the strangers' 1 % pass 0.54, over a telephone 0.73; voices (means of pieces) pass 0.73 and
strangers' 0.56, over a telephone half pass 0.55 and 5 % pass 0.69. A voice recorded in a studio and
over a telephone is 0.6 like itself. Resemblyzer's figures: clips 0.67, strangers' 0.74 to 0.86;
voices 0.75, strangers' 0.76 to 0.87. Equal error rates at 1 s: CAM++ 1.4 % clean, 5.5 % telephone,
3.4 % room, 5.7 % noise; Resemblyzer 4.3, 9.5, 10.9 and 8.3 %.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vc_core import devices, engines, models
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError
from vc_speech import pretrained
from vc_speech.speakers import SpeakerEncoder, Thresholds, Vector

HUB = "hub:"

LEVEL_DB = -30.0  # dBFS: the level that the GE2E encoder's training audio was raised to
MEL_BANDS = 80
FRAME_STEP = 0.01  # seconds between filterbank frames
BATCH_SECONDS = 24.0  # audio embedded at once: more gains nothing on a CPU


class Resemblyzer:
    """Resemblyzer's GE2E encoder (Wan et al. 2018): vectors of 256 numbers."""

    window = 1.6  # what it was trained on
    thresholds: Thresholds | None = Thresholds(clip=0.65, voice=0.75, slice=0.75, person=0.28)

    def __init__(self, folder: str, device: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            from resemblyzer import VoiceEncoder

            self._encoder: Any = VoiceEncoder(
                devices.choose(device),
                verbose=False,
                weights_fpath=f"{folder}/pretrained.pt",
            )

    def embed(self, samples: Samples) -> Vector:
        """One unit vector [256]; audio shorter than the window is repeated to fill it.

        Padding with silence would move the vector.
        """
        samples = _repeated(samples, self.window)
        with one_thread():
            vector: Vector = self._encoder.embed_utterance(_levelled(samples))
        return vector

    def embed_windows(self, samples: Samples, step: float) -> tuple[Vector, Vector]:
        """Centres in seconds [n] and vectors [n, 256] of windows every ``step`` seconds."""
        samples = _repeated(samples, self.window)
        with one_thread():
            _, vectors, slices = self._encoder.embed_utterance(
                _levelled(samples), return_partials=True, rate=1 / step, min_coverage=1.0
            )
        centres = np.array([(s.start + s.stop) / 2 / ENGINE_RATE for s in slices], np.float32)
        return centres, np.asarray(vectors, np.float32)


class CamPlusPlus:
    """CAM++ (Wang et al. 2023) as 3D-Speaker trained it on 200,000 speakers: 192 numbers.

    The network's module is loaded by path: importing its package would want a whole diarizer.
    """

    window = 1.5
    thresholds: Thresholds | None = Thresholds(clip=0.42, voice=0.65, slice=0.72, person=0.5)

    def __init__(self, folder: str, device: str) -> None:
        import torch

        module = models.module_at(Path(folder) / "camplusplus.py")
        weights = torch.load(Path(folder) / CAMPPLUS_WEIGHTS, "cpu", weights_only=True)
        size = len(weights["xvector.dense.linear.weight"])
        self.network = module.CAMPPlus(feat_dim=MEL_BANDS, embedding_size=size)
        self.network.load_state_dict(weights)
        self._device = devices.choose(device)
        self.network.eval().to(self._device)

    def embed(self, samples: Samples) -> Vector:
        """One unit vector [192]; audio shorter than a quarter of a second is repeated."""
        features = _filterbank(_repeated(samples, SHORTEST))
        vector: Vector = self._embedded(features[None])[0]
        return vector

    def embed_windows(self, samples: Samples, step: float) -> tuple[Vector, Vector]:
        """Centres in seconds [n] and vectors [n, 192] of windows every ``step`` seconds."""
        features = _filterbank(_repeated(samples, SHORTEST))
        size = min(len(features), round(self.window / FRAME_STEP))
        hop = max(1, round(step / FRAME_STEP))
        starts = np.arange(0, len(features) - size + 1, hop)
        batch = max(1, round(BATCH_SECONDS / FRAME_STEP / size))
        vectors = [
            self._embedded(np.stack([features[at : at + size] for at in starts[n : n + batch]]))
            for n in range(0, len(starts), batch)
        ]
        centres = ((starts + size / 2) * FRAME_STEP).astype(np.float32)
        return centres, np.concatenate(vectors)

    def _embedded(self, features: Samples) -> Vector:
        """Filterbank features [n, frames, bands] to unit vectors [n, dim]."""
        import torch

        # Channels differ between recordings by a constant in the log spectrum.
        centred = features - features.mean(axis=1, keepdims=True)
        with torch.inference_mode(), one_thread():
            made = self.network(torch.from_numpy(centred).to(self._device))
        return _unit(made.cpu().numpy())


CAMPPLUS_WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
SHORTEST = 0.25  # seconds


class XVector:
    """An x-vector model of the Hub, such as microsoft/wavlm-base-plus-sv, through transformers.

    Its cosines have a scale of their own, so that thresholds must be given.
    """

    window = 2.0
    thresholds: Thresholds | None = None

    def __init__(self, name: str, device: str) -> None:
        try:
            from transformers import AutoFeatureExtractor, AutoModelForAudioXVector
        except ImportError:
            raise InputError(
                f"speaker encoder hub:{name}: needs transformers; "
                "run: pip install 'vc-speech[xvector]'"
            ) from None
        pretrained.quiet()
        source = models.resolve(name)
        if not Path(source).is_dir():
            pretrained.place(name)
        try:
            self._extract: Any = AutoFeatureExtractor.from_pretrained(source)
            self._model: Any = AutoModelForAudioXVector.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise InputError(
                f"speaker encoder hub:{name}: {str(error).splitlines()[0]}; "
                "give the id or folder of an audio x-vector model"
            ) from None
        self._device = devices.choose(device)
        self._model.eval().to(self._device)

    def embed(self, samples: Samples) -> Vector:
        """One unit vector [dim]; audio shorter than half a second is repeated."""
        vector: Vector = self._embedded([_repeated(samples, 0.5)])[0]
        return vector

    def embed_windows(self, samples: Samples, step: float) -> tuple[Vector, Vector]:
        """Centres in seconds [n] and vectors [n, dim] of windows every ``step`` seconds."""
        samples = _repeated(samples, 0.5)
        size = min(len(samples), round(self.window * ENGINE_RATE))
        starts = np.arange(0, len(samples) - size + 1, max(1, round(step * ENGINE_RATE)))
        batch = max(1, round(BATCH_SECONDS * ENGINE_RATE / size))
        vectors = [
            self._embedded([samples[at : at + size] for at in starts[n : n + batch]])
            for n in range(0, len(starts), batch)
        ]
        return ((starts + size / 2) / ENGINE_RATE).astype(np.float32), np.concatenate(vectors)

    def _embedded(self, cuts: list[Samples]) -> Vector:
        """Equally long samples to unit vectors [n, dim]."""
        import torch

        inputs = self._extract(cuts, sampling_rate=ENGINE_RATE, return_tensors="pt")
        with torch.inference_mode():
            made = self._model(**inputs.to(self._device)).embeddings
        return _unit(made.float().cpu().numpy())


PACKAGED: dict[str, Callable[[str, str], SpeakerEncoder]] = {
    "package:resemblyzer": Resemblyzer,
    "package:campplus": CamPlusPlus,
}


def load(name: str, device: str = "cpu") -> SpeakerEncoder:
    """The encoder of that name on ``device`` (auto, cpu or cuda).

    Raises InputError for a name that nobody offers and for weights that are not there.
    """
    offered = engines.find(engines.ENCODERS, name)
    if offered is not None:
        make, argument = offered
        made: SpeakerEncoder = make(argument=argument, device=device)
        return made
    if name in PACKAGED:
        return PACKAGED[name](models.resolve(name), device)
    if name.startswith(HUB):
        return XVector(name.removeprefix(HUB), device)
    known = ", ".join([*PACKAGED, f"{HUB}ID-or-folder", *engines.names(engines.ENCODERS)])
    raise InputError(f"speaker encoder {name!r}: not known; there are: {known}")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, as small networks do best: see benchmarks/engines.py.

    Several wait for each other longer than they work; where other processes want the same cores,
    CAM++ takes six times the CPU time on two threads that it takes on one.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _unit(vectors: Vector) -> Vector:
    out: Vector = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return out


def _repeated(samples: Samples, seconds: float) -> Samples:
    """``samples``, over and over until they fill so many seconds."""
    wanted = round(seconds * ENGINE_RATE)
    if len(samples) >= wanted:
        return samples
    return np.resize(samples, wanted)


def _levelled(samples: Samples) -> Samples:
    """Raise quiet audio to the level of the encoder's training data; never lower it."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
    gain = 10 ** (LEVEL_DB / 20) / max(rms, 1e-6)
    return samples * np.float32(gain) if gain > 1 and rms > 1e-6 else samples


def _filterbank(samples: Samples) -> Samples:
    """Kaldi's log mel filterbank [frames, 80] of 16 kHz samples, as 3D-Speaker computes it."""
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = ENGINE_RATE
    options.mel_opts.num_bins = MEL_BANDS
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(ENGINE_RATE, samples)
    computer.input_finished()
    return np.stack([computer.get_frame(n) for n in range(computer.num_frames_ready)])
