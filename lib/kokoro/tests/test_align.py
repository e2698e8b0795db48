"""Alignment, on Kokoro's own speech, whose times are known."""

import numpy as np
import pytest
import torch

from vc_kokoro import options, packaged, phonemes, stock, weights
from vc_kokoro.align import Aligner, Spoken


def spoken(base: weights.Base, voice: torch.Tensor) -> Spoken:
    """What stock.known gives for every voice of a pitch, made here for one."""
    text = base.network.encode(phonemes.of(stock.SENTENCES["en"], "en"))
    style = weights.style_of(voice, text.ids)
    with torch.no_grad():
        prosody = base.network.prosody(text, style)
        return Spoken(text, prosody, voice, base.network.sound(text, prosody, style).numpy())


SENTENCE = "Four hours of steady work faced us, so we went back to the boat."


def test_phonemes_are_found_where_they_were_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real model, and what its voices say, where make setup put them
    if not (packaged.folder() / "voices").is_dir():
        pytest.skip("the stock voices are not installed: make setup")
    torch.manual_seed(0)  # of the noise in what is said
    base = weights.load(options.PACKAGED)
    said = phonemes.of(SENTENCE, "en")
    text = base.network.encode(said)
    style = weights.style_of(base.voices("en")["bm_george"], text.ids)
    with torch.no_grad():
        prosody = base.network.prosody(text, style, 0.85)
        sound = base.network.sound(text, prosody, style).numpy()
    lead, tail = (600 * int(prosody.frames[end]) for end in (0, -1))
    f0 = float(prosody.f0[prosody.f0 > 60].median())
    near = [base.voices("en")[name] for name in ("am_michael", "bm_lewis")]
    aligner = Aligner(base.network, [spoken(base, voice) for voice in near])
    found = aligner.align(said, sound[lead:-tail])

    ours, theirs = (
        np.cumsum(frames.numpy()[1:-1]) / 40 for frames in (found.prosody.frames, prosody.frames)
    )
    assert np.median(np.abs(ours - theirs)) <= 0.06
    assert np.abs(ours - theirs).max() < 0.25
    assert 1.05 < found.stretch < 1.35
    voiced = (found.prosody.f0[0] > 0).float().mean()
    assert 0.3 < voiced < 0.9
    assert abs(float(found.prosody.f0[found.prosody.f0 > 0].median()) / f0 - 1) < 0.1
