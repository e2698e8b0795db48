"""From what is heard to the people of the recording, and to the target among them.

The decision "target or not" is calibrated on this recording's own voices: on how alike two pieces
of one person are here and how alike its people are, not by one threshold for all recordings,
which telephone voices of strangers pass.
"""

from dataclasses import dataclass

import numpy as np

from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError
from vc_segment import decide, people, pieces
from vc_segment.activity import Heard
from vc_segment.decide import Named
from vc_speech.overlap import STEP
from vc_speech.speakers import SpeakerEncoder, Vector, centroid

USUAL = 0.6  # likeness of one person's pieces, where the reference is too short to tell


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
    """Cut, embed, cluster and name the speech of 16 kHz ``samples``.

    Raises InputError when there is no speech, or when no voice is at least ``least`` like the
    16 kHz ``reference``.
    """
    found = pieces.find(samples, heard, encoder)
    if not (found.seconds >= pieces.SHORTEST).any():
        raise InputError(f"{name}: no speech long enough to tell a voice; check the recording")
    wanted, usual = _told_by(reference, encoder)
    # The encoder's own scale, not what the user asks of the match with the reference.
    voice = encoder.thresholds.voice if encoder.thresholds else least
    clusters = people.cluster(found.vectors, found.seconds, found.switched, usual, voice)
    decision = decide.decide(found, clusters.labels, max(clusters.between, voice))
    doubtful = decide.doubtful(found, decision)
    if doubtful.any():
        found, origin = pieces.halved(samples, found, doubtful, encoder)
        decision = decide.decide(found, clusters.labels[origin], max(clusters.between, voice))
    target, alike = decide.target_of(decision.voices, wanted, least, name)
    named = decide.named(found, decision, target)
    voices = [
        {
            "seconds": round(sum(_seconds(piece) for piece in named if piece.person == number), 3),
            "like_reference": round(likeness, 4),
            "like_target": round(float(decision.voices[number] @ decision.voices[target]), 4),
        }
        for number, likeness in enumerate(alike)
    ]
    calibration = {
        "piece_likeness": round(clusters.likeness, 4),
        "voice_likeness": round(clusters.between, 4),
        "least_likeness_2s": round(decision.boundary(2.0), 4),
        "noise_fixed": round(decision.noise.fixed, 4),
        "noise_fading": round(decision.noise.fading, 4),
    }
    return Found(named, voices, target, calibration)


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
