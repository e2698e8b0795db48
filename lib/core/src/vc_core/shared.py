"""Options that several stages or speaking models take, each with its one default and meaning.

Those whose value stands in the configuration's ``models`` are the models of a run; a stage names
the ones that it loads.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vc_core.options import Demanded, Environment, Home, Incidental, NonEmpty

Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    Field(default="auto", description="Where it runs; auto: on a GPU where there is one."),
    Incidental(),
]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{2,3}$"),
    Field(default="en", description="Language spoken, as ISO 639 code."),
    Home("voices.*.language"),
]
Consent = Annotated[
    str,
    Field(default="", description="Who consented, how and when; stands in every card."),
    Home("voices.*.consent"),
]
Licence = Annotated[
    str,
    Field(default="", description="Licence of the recording; carried into every card."),
    Home("voices.*.sources.*.licence"),
]

# Least cosine of two voices; auto: what the encoder is known for.
CosineOrAuto = Literal["auto"] | Annotated[float, Field(ge=-1, le=1)]

# --- models

SeparatorName = Annotated[
    NonEmpty,
    Field(
        default="htdemucs",
        description="Takes music and noise away: a Demucs model by name (htdemucs, htdemucs_ft "
        "...), a folder with Demucs .th files (FOLDER or FOLDER/NAME), package:spleeter, a "
        "separator that another package offers (NAME or NAME:ARGUMENT), or none.",
    ),
    Home("models.separator"),
]
VadName = Annotated[
    NonEmpty,
    Field(
        default="silero",
        description="Voice activity detector: silero, or one that another package offers.",
    ),
    Home("models.vad"),
]
SpeakerEncoderName = Annotated[
    NonEmpty,
    Field(
        default="package:campplus",
        description="Speaker encoder, which tells voices apart: package:campplus, "
        "package:resemblyzer, hub:ID of an x-vector model of the Hub, or one that another package "
        "offers.",
    ),
    Home("models.speaker_encoder"),
]
JudgeEncoderName = Annotated[
    NonEmpty,
    Field(
        default="package:resemblyzer",
        description="Speaker encoder that judges the finished voice; never the one that training "
        "uses.",
    ),
    Home("models.judge_encoder"),
]
OverlapModelName = Annotated[
    NonEmpty,
    Field(
        default="package:pyannote-segmentation",
        description="Hears who speaks within ten seconds, two people at once too; none: overlap "
        "stays undetected.",
    ),
    Home("models.overlap"),
]
TRANSCRIBER = "large-v3-turbo"
TranscriberName = Annotated[
    NonEmpty,
    Field(
        default=TRANSCRIBER,
        description="Hears the words: a Whisper by name or Hub id of faster-whisper, a "
        "CTranslate2 folder, package:whisper-base, or a transcriber that another package offers.",
    ),
    Home("models.transcriber"),
]
JudgeName = Annotated[
    NonEmpty,
    Field(
        default=TRANSCRIBER,
        description="Transcriber that counts the word errors of the finished voice; default: the "
        "one that hears the words.",
    ),
    Home("models.judge", otherwise="models.transcriber"),
]
ListenerName = Annotated[
    NonEmpty,
    Field(
        default="package:whisper-base",
        description="Transcriber that hears the samples spoken while training goes on, on the CPU.",
    ),
    Home("models.listener"),
]
BaseModelName = Annotated[
    NonEmpty,
    Field(
        default="unsloth/csm-1b",
        description="Speaking model to start from: a Hub id or a folder.",
    ),
    Home("models.tts"),
    Environment("DEFAULT_BASE_TTS_MODEL"),
    Demanded(),
]
FamilyName = Annotated[
    NonEmpty,
    Field(
        default="auto",
        description="Family of the speaking model; auto: the one that claims its name.",
    ),
    Home("models.family"),
]
