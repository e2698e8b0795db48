"""Who speaks when: from what is heard in a recording to its people, told apart by their voices.

``activity`` hears speech, overlap and changes of voice; ``pieces`` cuts the speech and embeds it;
``people`` clusters the embeddings; ``decide`` names every piece, long or short.

What counts as one voice is calibrated on the recording's own voices: on how alike two pieces of
one person are here and how alike its people are, not by one threshold for all recordings.
"""

from dataclasses import dataclass

from vc_core.audio import Samples
from vc_speech.diarization import decide, people, pieces
from vc_speech.diarization.activity import Heard
from vc_speech.diarization.decide import Decision
from vc_speech.diarization.pieces import Pieces
from vc_speech.speakers import SpeakerEncoder

USUAL = 0.6  # likeness of one person's pieces, where nothing tells it


@dataclass(frozen=True)
class People:
    """The people of a recording: its pieces of speech, and whose each is.

    ``likeness`` is how alike two pieces of one person are, ``between`` how alike the likest two
    voices are (0 where there is only one).
    """

    pieces: Pieces
    decision: Decision
    likeness: float
    between: float


def tell_apart(
    samples: Samples, heard: Heard, encoder: SpeakerEncoder, usual: float, voice: float
) -> People | None:
    """Cut, embed and cluster the speech of 16 kHz ``samples``, and name its pieces.

    ``usual`` is the likeness to expect of one person's pieces, ``voice`` the one below which two
    voices are certainly two people's. None where no speech is long enough to tell a voice.
    """
    found = pieces.find(samples, heard, encoder)
    if not (found.seconds >= pieces.SHORTEST).any():
        return None
    clusters = people.cluster(found.vectors, found.seconds, found.switched, usual, voice)
    decision = decide.decide(found, clusters.labels, max(clusters.between, voice))
    doubtful = decide.doubtful(found, decision)
    if doubtful.any():
        found, origin = pieces.halved(samples, found, doubtful, encoder)
        decision = decide.decide(found, clusters.labels[origin], max(clusters.between, voice))
    return People(found, decision, clusters.likeness, clusters.between)
