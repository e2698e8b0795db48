"""Kokoro as the workflow knows it: what it can be told, and which models are its own."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from vc_core import speaking
from vc_core.options import Incidental
from vc_core.speaking import Family, Limits, Speaking, Training, Variant

PACKAGED = "package:kokoro"
MAX_SECONDS = 20.0  # of a clip: alignment and memory grow with it
LANGUAGES = frozenset({"en", "es", "fr", "hi", "it", "pt"})


class KokoroTraining(Training):
    """Fitting Kokoro to a voice."""

    max_steps: speaking.Steps = 28
    batch_size: speaking.BatchSize = 2
    gradient_accumulation: speaking.GradientAccumulation = 1
    learning_rate: speaking.LearningRate = 7e-4
    eval_every: Annotated[int, Field(default=14, ge=1, description="Steps between validations.")]
    samples: Annotated[
        int,
        Field(
            default=4,
            ge=0,
            description="Validation sentences that are spoken and judged, to choose the "
            "checkpoint by; 0: by validation loss.",
        ),
    ]
    sample_every: Annotated[
        int, Field(default=14, ge=1, description="Steps between spoken samples.")
    ]
    checkpoint_every: Annotated[
        int, Field(default=7, ge=1, description="Steps between checkpoints."), Incidental()
    ]
    processes: Annotated[
        int,
        Field(
            default=2,
            ge=1,
            le=16,
            description="Processes that train together: at most one a core, or one a GPU.",
        ),
    ]
    lora_r: Annotated[
        int, Field(default=64, ge=1, le=512, description="Rank of the LoRA matrices.")
    ]
    crop_seconds: Annotated[
        float,
        Field(
            default=2.2, ge=0.5, le=10, description="Length of the pieces of clips that are learnt."
        ),
    ]
    warmup_steps: Annotated[int, Field(default=4, ge=0, description="Steps of linear warm-up.")]
    max_grad_norm: Annotated[
        float, Field(default=5.0, gt=0, description="Longer gradients are scaled down to this.")
    ]
    speaker_weight: Annotated[
        float,
        Field(
            default=1.0,
            ge=0,
            description="Weight of the speaker encoder's distance beside the spectra's.",
        ),
    ]
    prosody_steps: Annotated[
        int,
        Field(default=80, ge=0, description="Steps in which pitch, energy and tempo are learnt."),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        Field(default="auto", description="auto: bf16 where the device multiplies that faster."),
    ]


class KokoroSpeaking(Speaking):
    """How Kokoro speaks."""

    speed: Annotated[
        float, Field(default=1.0, ge=0.5, le=2, description="Tempo; 2 is twice as fast.")
    ]


def _is_kokoro(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") == "kokoro" or {"istftnet", "plbert"} <= set(config)


FAMILY = Family(
    name="kokoro",
    title="Kokoro",
    training=KokoroTraining,
    speaking=KokoroSpeaking,
    limits=Limits(clip_seconds=MAX_SECONDS, languages=LANGUAGES),
    variants=(
        Variant("stock", "Nearest stock voice", adapter=False, stock=True),
        Variant("mixture", "Mixture of stock voices", adapter=False),
        Variant("adapter", "Fitted voice", adapter=True),
        Variant("voice", "Its voice pack alone", adapter=True),
    ),
    models=(PACKAGED, "hexgrad/Kokoro-82M"),
    pattern=r"kokoro([-_.].*)?",
    recognises=_is_kokoro,
)
