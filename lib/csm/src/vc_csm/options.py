"""Sesame CSM as the workflow knows it: what it can be told, and which models are its own."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from vc_core import speaking
from vc_core.options import Incidental
from vc_core.speaking import Family, Limits, Speaking, Training, Variant

MAX_SECONDS = 10.0  # the longest utterance CSM has learnt

# A GPU's memory; what each means is in vc_csm.training.presets.
PresetName = Literal["auto", "none", "6gb", "12gb", "24gb", "80gb"]
Schedule = Literal["cosine", "linear", "constant"]
Backend = Literal["auto", "peft", "unsloth"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Quantize = Literal["auto", "none", "8bit", "4bit"]
Switch = Literal["auto", "on", "off"]
Optimizer = Literal["auto", "adamw", "adamw8bit"]


class CsmTraining(Training):
    """LoRA fine-tuning of CSM."""

    max_steps: speaking.Steps = 1000
    batch_size: speaking.BatchSize = 2
    gradient_accumulation: speaking.GradientAccumulation = 8
    learning_rate: speaking.LearningRate = 2e-4
    schedule: Annotated[
        Schedule,
        Field(default="cosine", description="How the rate decays to 0 after the warm-up."),
    ]
    warmup_steps: Annotated[int, Field(default=20, ge=0, description="Steps of linear warm-up.")]
    weight_decay: Annotated[float, Field(default=0.01, ge=0, description="AdamW's.")]
    max_grad_norm: Annotated[
        float, Field(default=1.0, gt=0, description="Longer gradients are scaled down to this.")
    ]
    lora_r: Annotated[
        int, Field(default=32, ge=1, le=512, description="Rank of the LoRA matrices.")
    ]
    lora_alpha: Annotated[
        int, Field(default=32, ge=1, description="The LoRA update is scaled by alpha / r.")
    ]
    lora_dropout: Annotated[
        float, Field(default=0.0, ge=0, lt=1, description="Dropout before the LoRA matrices.")
    ]
    targets: Annotated[
        str,
        Field(
            default="",
            description="Regular expression of the modules that get LoRA; empty: every "
            "projection of backbone and depth decoder; never the codec's.",
        ),
    ]
    depth_fraction: Annotated[
        float,
        Field(
            default=0.25,
            gt=0,
            le=1,
            description="Share of frames, drawn anew at every step, that the depth decoder "
            "learns from.",
        ),
    ]
    max_seconds: Annotated[
        float,
        Field(default=MAX_SECONDS, gt=0, description="Longer clips are left out of the training."),
    ]
    backend: Annotated[
        Backend,
        Field(
            default="auto",
            description="auto: unsloth on CUDA where it is installed, peft elsewhere.",
        ),
    ]
    preset: Annotated[
        PresetName,
        Field(
            default="auto",
            description="How a step is cut into batches, and what else is left on auto, by GPU "
            "memory; never what is learnt from.",
        ),
    ]
    precision: Annotated[
        Precision,
        Field(
            default="auto",
            description="auto: bf16 on GPUs, and for large models on CPUs, that have it; fp16 on "
            "other GPUs; else fp32.",
        ),
    ]
    quantize: Annotated[
        Quantize,
        Field(default="auto", description="The base's weights; auto: what the preset says."),
    ]
    optimizer: Annotated[
        Optimizer,
        Field(
            default="auto",
            description="auto: what the preset says, where bitsandbytes is there.",
        ),
    ]
    gradient_checkpointing: Annotated[
        Switch,
        Field(
            default="auto",
            description="Compute the layers twice to hold less of them; auto: what the preset "
            "says.",
        ),
        Incidental(),
    ]
    compile: Annotated[
        Switch,
        Field(
            default="auto",
            description="torch.compile of what is computed element by element; auto: on for long "
            "runs on CUDA with whole weights.",
        ),
        Incidental(),
    ]
    self_test: Annotated[
        bool,
        Field(
            default=True,
            description="Seconds of tests, and an estimate of time and memory, before the first "
            "step.",
        ),
        Incidental(),
    ]


class CsmSpeaking(Speaking):
    """How CSM speaks."""

    temperature: Annotated[
        float,
        Field(
            default=0.9,
            ge=0,
            description="Sampling temperature; 0 always takes the likeliest code.",
        ),
    ]
    top_k: Annotated[int, Field(default=50, ge=1, description="Codes to sample from.")]
    max_seconds: Annotated[
        float,
        Field(
            default=MAX_SECONDS,
            ge=0.5,
            description="Longest speech to make at once; longer texts are said in parts.",
        ),
    ]


def _is_csm(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") == "csm"


FAMILY = Family(
    name="csm",
    title="Sesame CSM",
    training=CsmTraining,
    speaking=CsmSpeaking,
    limits=Limits(clip_seconds=MAX_SECONDS),
    variants=(
        Variant("base", "Base", adapter=False),
        Variant("base+context", "Base + context", adapter=False, context=True),
        Variant("lora", "LoRA", adapter=True),
        Variant("lora+context", "LoRA + context", adapter=True, context=True),
    ),
    models=("unsloth/csm-1b", "sesame/csm-1b"),
    pattern=r"csm([-_.].*)?",
    recognises=_is_csm,
)
