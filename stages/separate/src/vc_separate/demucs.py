"""Demucs (Rouard et al. 2022), by its public name or from a local repository of weights."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demucs.apply import apply_model
from demucs.pretrained import get_model
from huggingface_hub.errors import RepositoryNotFoundError

from vc_core.audio import Samples
from vc_core.errors import InputError, TryAgainError

STEM = "vocals"
OVERLAP = 0.25  # of a segment, cross-faded: the default of demucs itself
BLOCK = 120.0  # seconds at a time, or one segment


class DemucsSeparator:
    """A demucs model that knows the stem ``vocals``.

    Its ``.th`` files are pickles, which can run any code on loading: use trusted ones only.
    """

    def __init__(self, name: str, repo: Path | None, device: str, half: bool = False) -> None:
        """Load ``name`` from the folder ``repo``, or else by demucs' own means.

        With ``half`` it computes in fp16 what bears it.
        Raises TryAgainError when it cannot be fetched, InputError when it cannot be used.
        """
        self.device = device
        self._model: Any = _loaded(name, repo)
        shown = str(repo / name) if repo else name
        if STEM not in self._model.sources:
            known = ", ".join(self._model.sources)
            raise InputError(f"model {shown!r}: separates {known}, not {STEM}; choose another")
        self.rate: int | None = int(self._model.samplerate)
        # In whole strides, so that no segment is computed for a bit of sound.
        stride = _stride(self._model, self.rate)
        self.block = max(1, int(BLOCK / stride)) * stride
        self._half = half

    def separate(self, samples: Samples) -> Samples:
        """The voice in ``samples`` [frames, 2], in the same shape."""
        mix = torch.from_numpy(np.ascontiguousarray(samples.T))
        if self._model.audio_channels == 1:
            mix = mix.mean(dim=0, keepdim=True)
        # The models were trained on mixes of zero mean and unit variance.
        mean, spread = mix.mean(), mix.std(correction=0) + 1e-8
        # shifts=0: the random shift is worth 0.2 dB, and would make every run differ.
        with torch.autocast(self.device, torch.float16, enabled=self._half):
            stems = apply_model(
                self._model,
                ((mix - mean) / spread)[None],
                shifts=0,
                split=True,
                overlap=OVERLAP,
                device=self.device,
            )
        voice = stems[0, self._model.sources.index(STEM)].cpu().float() * spread + mean
        out: Samples = voice.expand(2, -1).T.numpy()
        return out


def _stride(model: Any, rate: int) -> float:
    """Seconds from one segment to the next, as apply_model reckons them."""
    single = getattr(model, "models", [model])[0]
    return int((1 - OVERLAP) * int(rate * single.segment)) / rate


def _loaded(name: str, repo: Path | None) -> Any:
    try:
        with _quiet():
            return get_model(name, repo)
    except RepositoryNotFoundError as error:
        raise InputError(f"model {name!r}: not on the Hub ({_first_line(error)})") from None
    except SystemExit:
        # How demucs says that a quantized model (mdx_q) needs the diffq package.
        raise InputError(f"model {name!r}: needs diffq; run: pip install diffq") from None
    except Exception as error:
        if repo is not None:
            where = str(repo / name)
            raise InputError(f"model {where!r}: cannot be loaded ({_first_line(error)})") from None
        raise TryAgainError(
            f"model {name!r}: its weights cannot be fetched ({_first_line(error)}); without a "
            "network give --model a folder that holds them, or package:spleeter"
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what fetching says off stdout, and off stderr but for progress on a terminal."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if not sys.stderr.isatty():
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
