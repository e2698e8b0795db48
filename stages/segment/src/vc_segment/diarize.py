"""The people of a recording, and the target among them.

The decision "target or not" is calibrated on this recording's own voices, as those are told apart
(``vc_speech.diarization``), not by one threshold for all recordings, which telephone voices of
strangers pass.
"""

from dataclasses import dataclass

import numpy as np

from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError
from vc_segment import target
from vc_segment.target import Named
from vc_speech import diarization
from vc_speech.diarization import USUAL, pieces
from vc_speech.diarization.activity import Heard
from vc_speech.overlap import STEP
from vc_speech.speakers import SpeakerEncoder, Vector, centroid


@dataclass(frozen=True)
class Found:
    """The named pieces of a recording, its ``voices`` with their figures, who is the target.

    ``calibration`` holds what the decision was measured against.
    """

    named: list[Named]
    voices: list[dict[str, float]]
    target: int
    calibration: dict[str, float]

    def described(self) -> list[str]:
        """One line for each voice."""
        return [
            f"voice {number}{' (the target)' if number == self.target else ''}: "
            f"{voice['seconds']:.1f} s, {voice['like_reference']:.2f} like the reference"
            for number, voice in enumerate(self.voices)
        ]


def diarize(
    samples: Samples,
    heard: Heard,
    encoder: SpeakerEncoder,
    reference: Samples,
    least: float,
    name: str,
) -> Found:
    """Tell the people of 16 kHz ``samples`` apart, and find the target.

    Raises InputError when there is no speech, or when no voice is at least ``least`` like the
    16 kHz ``reference``.
    """
    wanted, usual = _told_by(reference, encoder)
    # The encoder's own scale, not what the user asks of the match with the reference.
    voice = encoder.thresholds.voice if encoder.thresholds else least
    people = diarization.tell_apart(samples, heard, encoder, usual, voice)
    if people is None:
        raise InputError(f"{name}: no speech long enough to tell a voice; check the recording")
    decision = people.decision
    number, alike = target.target_of(decision.voices, wanted, least, name)
    named = target.named(people.pieces, decision, number)
    voices = [
        {
            "seconds": round(sum(_seconds(piece) for piece in named if piece.person == who), 3),
            "like_reference": round(likeness, 4),
            "like_target": round(float(decision.voices[who] @ decision.voices[number]), 4),
        }
        for who, likeness in enumerate(alike)
    ]
    calibration = {
        "piece_likeness": round(people.likeness, 4),
        "voice_likeness": round(people.between, 4),
        "least_likeness_2s": round(decision.boundary(2.0), 4),
        "noise_fixed": round(decision.noise.fixed, 4),
        "noise_fading": round(decision.noise.fading, 4),
    }
    return Found(named, voices, number, calibration)


def _told_by(reference: Samples, encoder: SpeakerEncoder) -> tuple[Vector, float]:
    """The reference's voice, and how alike its pieces are: what to expect of one person."""
    size = round(pieces.LONGEST * ENGINE_RATE)
    parts = [reference[at : at + size] for at in range(0, len(reference) - size + 1, size)]
    vectors: Vector = np.stack([encoder.embed(part) for part in parts or [reference]])
    usual = USUAL
    if len(parts) > 1:
        usual = float(np.median(np.einsum("nd,nd->n", vectors[1:], vectors[:-1])))
    return centroid(vectors), usual


def _seconds(piece: Named) -> float:
    return (piece.last - piece.first) * STEP
