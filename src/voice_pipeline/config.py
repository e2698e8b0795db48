"""The one home of every setting: its name, default, limits and description.

From these models come config.schema.json, docs/configuration.md and the checks that the
Snakefile makes. Values are taken, in this order, from the command line, the environment
(``DEFAULT_*`` and others, ``.env`` too), the config file, and the defaults below.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from voice_pipeline.section import Name, NonEmpty, Section
from voice_pipeline.sources import Source, read_table, source_id, twice

Device = Literal["auto", "cpu", "cuda"]


class Slice(Section):
    """A stretch of a source in which the target speaker is heard alone."""

    source: Name | None = Field(None, description="Source to cut from; default: the reference's.")
    start: float = Field(0.0, ge=0, description="Start of the slice, seconds.")
    end: float = Field(gt=0, description="End of the slice, seconds.")

    @model_validator(mode="after")
    def _consistent(self) -> "Slice":
        if self.end <= self.start:
            raise ValueError(f"end ({self.end:g}) must be after start ({self.start:g})")
        return self


class Reference(Section):
    """Where the target speaker is heard alone: slices of sources, or files."""

    source: Name | None = Field(None, description="Source to cut from; default: the first one.")
    start: float = Field(0.0, ge=0, description="Start of the slice, seconds.")
    end: float | None = Field(
        None, gt=0, description="End of the slice, seconds; default: 15, or the end of the file."
    )
    slices: list[Slice] = Field(
        default_factory=list, description="Several slices instead, of one source or of several."
    )
    file: Path | None = Field(None, description="A file with the target speaker alone instead.")
    files: list[Path] = Field(
        default_factory=list, description="Several such files instead, taken whole."
    )
    min_seconds: float = Field(3.0, ge=0, description="Least speech, seconds.")
    max_seconds: float = Field(30.0, gt=0, description="What is longer is cut in a pause, seconds.")
    min_dnsmos: float = Field(2.0, ge=1, le=5, description="Least overall DNSMOS of each slice.")
    max_clipped: float = Field(0.001, ge=0, le=1, description="Largest share of clipped samples.")
    min_cosine: Literal["auto"] | Annotated[float, Field(ge=-1, le=1)] = Field(
        "auto",
        description="Least likeness of any stretch to the rest; auto: as the encoder is known.",
    )
    max_overlap: float = Field(
        0.3, ge=0, description="Most seconds of two people at once in a slice."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Reference":
        ways = {"file": self.file, "files": self.files, "source": self.source or self.slices}
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"give {' or '.join(given)}, not both")
        if self.slices or self.files:
            if self.start > 0 or self.end is not None:
                raise ValueError(
                    "start and end (DEFAULT_REF_START, DEFAULT_REF_END) belong to a single slice; "
                    "leave them out beside slices or files"
                )
        elif self.end is None and not self.file:
            self.end = 15.0
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g}) must be after start ({self.start:g})")
        return self


class Voice(Section):
    """One speaker to clone, who has consented."""

    consent: NonEmpty = Field(
        description="Who consented, how and when; no voice is processed without it."
    )
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] = Field(
        "en", description="Language spoken, as ISO 639 code."
    )
    reference: Reference = Reference()
    sources: list[Source] = Field(
        default_factory=list,
        description="Recordings: URLs or files; with {id, url, licence, start, end} where more is "
        "known.",
    )
    sources_file: Path | None = Field(
        None,
        description="Many recordings, one a row: a TSV as vc-download list writes it, whose header "
        "names columns out of id, url, title, seconds, licence, start, end; without a header: url, "
        "id, licence.",
    )
    demo_text: list[NonEmpty] = Field(
        default_factory=list, description="Sentences to say with the finished voice."
    )
    corrections: Path | None = Field(
        None,
        description="What people say of the clips: a TSV of clip, text and keep with that header. "
        "keep is yes, no or nothing; an empty text stays as it is.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        listed = data.get("sources") or []
        if not isinstance(listed, list):
            raise ValueError("sources must be a list; put '- ' before each URL or file")
        rows = [{"url": row} if isinstance(row, str) else row for row in listed]
        if data.get("sources_file"):
            rows += read_table(Path(str(data["sources_file"])))
        named = [
            {**row, "id": source_id(str(row["url"]))}
            if isinstance(row, dict) and "url" in row and row.get("id") in (None, "")
            else row
            for row in rows
        ]
        return {**data, "sources": named, "sources_file": None}

    @model_validator(mode="after")
    def _consistent(self) -> "Voice":
        if not self.sources:
            raise ValueError("has no sources; add at least one URL or file under 'sources'")
        ids = [source.id for source in self.sources]
        if twice(self.sources):
            raise ValueError(twice(self.sources))
        for name in (self.reference.source, *(cut.source for cut in self.reference.slices)):
            if name and name not in ids:
                raise ValueError(
                    f"reference.source {name!r} is no source; there are: " + ", ".join(ids)
                )
        return self


class Access(Section):
    """How recordings are got at, and what is refused of them.

    None of it says what is got, so a change fetches nothing again, and no record tells of it.
    """

    cookies: Path | None = Field(
        None, description="Cookies exported from a browser, Netscape format, for what needs them."
    )
    user_agent: str = Field("", description="What to call itself; empty: as yt-dlp does.")
    proxy: str = Field(
        "",
        description="Proxy, such as socks5://127.0.0.1:1080; one with a password only as "
        "DOWNLOAD_PROXY in the environment.",
    )
    rate_limit: Annotated[str, StringConstraints(pattern=r"^(\d+(\.\d+)?[KMGkmg]?)?$")] = Field(
        "", description="Most bytes a second of each download, such as 500K or 2M; empty: any."
    )
    sleep: float = Field(0.0, ge=0, le=3600, description="Seconds between requests to a site.")
    js_runtime: Annotated[
        str, StringConstraints(pattern=r"^(deno|node|bun|quickjs|none)(:.+)?$")
    ] = Field(
        "deno",
        description="What runs YouTube's JavaScript: deno, node, bun, quickjs or none, with :PATH "
        "if need be.",
    )
    allow_hosts: list[NonEmpty] = Field(
        default_factory=list,
        description="Hosts that may have loopback or private addresses, as the URLs name them.",
    )
    folders: list[Path] = Field(
        default_factory=list, description="Folders that local recordings may lie in; empty: any."
    )
    max_seconds: float = Field(
        21_600.0, gt=0, description="Longest recording, or section of one, seconds."
    )
    max_mb: float = Field(10_000.0, gt=0, description="Largest original, MB.")
    retry_wait: float = Field(
        30.0,
        ge=0,
        description="Seconds before a second attempt; four times as long before the third.",
    )

    @field_validator("proxy")
    @classmethod
    def _no_password(cls, proxy: str) -> str:
        # The configuration is written down beside the results.
        if "@" in proxy:
            raise ValueError(
                "has a user name or password in it; leave it out here, and give the whole as "
                "DOWNLOAD_PROXY in the environment or in .env instead"
            )
        return proxy

    @field_validator("allow_hosts", "folders", mode="before")
    @classmethod
    def _no_bare_text(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise ValueError("must be a list; write [" + given + "]")
        return given


class Download(Access):
    """Getting the recording."""

    sample_rate: int = Field(
        44_100, ge=8_000, le=192_000, description="Rate of source.wav, Hz (AUDIO_SAMPLE_RATE)."
    )
    channels: int = Field(2, ge=1, le=2, description="Channels of source.wav (AUDIO_CHANNELS).")
    captions: Literal["people", "any", "none"] = Field(
        "people",
        description="Whose captions are kept; any: automatic ones where people wrote none.",
    )


class Separate(Section):
    """Taking away everything but voices."""

    model: NonEmpty = Field(
        "htdemucs",
        description="Demucs model by name, a local Demucs repo folder, package:spleeter, a "
        "separator that a package offers by an entry point voice_clone.separator, or none.",
    )
    when: Literal["auto", "always"] = Field(
        "auto", description="auto: what has no music or noise to take away is left as it is."
    )
    device: Device = Field("auto", description="Where it runs.")
    precision: Literal["auto", "fp32", "fp16"] = Field(
        "auto", description="auto: fp16 on a GPU, fp32 on a CPU."
    )


class Segment(Section):
    """Who speaks when."""

    vad: NonEmpty = Field("silero", description="Voice activity detector.")
    encoder: NonEmpty = Field(
        "package:campplus",
        description="Speaker encoder: package:campplus, package:resemblyzer, or hub:ID of an "
        "x-vector model of the Hub.",
    )
    overlap_model: NonEmpty = Field(
        "package:pyannote-segmentation",
        description="Model that hears two people at once; none: overlap stays undetected.",
    )
    min_similarity: Literal["auto"] | Annotated[float, Field(ge=-1, le=1)] = Field(
        "auto",
        description="Least cosine of the target's voice to the reference; auto: the encoder's own.",
    )
    min_margin: float = Field(
        2.0,
        ge=0,
        le=50,
        description="Least log-odds that a piece of speech is the target's; 2 is 7 to 1.",
    )


class Transcribe(Section):
    """Words with times and confidence."""

    model: NonEmpty = Field(
        "large-v3-turbo",
        description="Whisper: a name or Hub id of faster-whisper, a CTranslate2 folder, "
        "package:whisper-base, or another package's transcriber.",
    )
    device: Device = Field("auto", description="Where it runs.")
    batch_size: int = Field(
        0, ge=0, le=256, description="Windows of 30 s heard at once; 0: by the device."
    )
    captions: Literal["auto", "none"] = Field(
        "auto", description="auto: captions that people wrote are preferred where there are some."
    )
    max_disagreement: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Word error rate between captions and what was heard over which captions are "
        "not used.",
    )


class Curate(Section):
    """Which clips are kept. CSM hears at most 10 s."""

    min_seconds: float = Field(1.0, ge=0.5, le=10, description="Shortest clip, seconds.")
    max_seconds: float = Field(10.0, ge=1, le=10, description="Longest clip, seconds.")
    min_similarity: Literal["auto"] | Annotated[float, Field(ge=-1, le=1)] = Field(
        "auto",
        description="Least cosine of a clip to the reference; auto: what the encoder is known for.",
    )
    min_confidence: float = Field(
        0.6, ge=0, le=1, description="Least mean word probability of a clip."
    )
    min_dnsmos: Literal["auto"] | Annotated[float, Field(ge=1, le=5)] = Field(
        "auto",
        description="Least overall DNSMOS of a clip; auto: 2.2, or what lies far below "
        "the median of a noisy recording.",
    )
    min_snr: float = Field(
        0.0, ge=0, le=100, description="Least speech over noise of a clip, dB; 0: any."
    )
    min_bandwidth: float = Field(
        0.0,
        ge=0,
        le=20_000,
        description="Least frequency that a clip's speech reaches, Hz; 0: any, also a telephone's "
        "3400 Hz, 6000 leaves those out.",
    )
    max_clipped: float = Field(
        0.001, ge=0, le=1, description="Largest share of samples at full scale or in flat tops."
    )
    max_disagreement: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest word error rate between captions and what was heard, where there are "
        "captions.",
    )
    silence: float = Field(
        0.15, ge=0.02, le=1, description="Seconds of pause that a clip keeps at either end."
    )
    rejected: bool = Field(
        False, description="Write the clips that were turned down, too, to listen to them."
    )
    sample_rate: int = Field(
        24_000,
        ge=24_000,
        le=24_000,
        description="Rate of the clips, Hz; CSM's codec knows no other (TTS_SAMPLE_RATE).",
    )
    loudness: float = Field(-23.0, ge=-50, le=-10, description="Loudness of every clip, LUFS.")


class Dataset(Section):
    """What all clips of a voice show together, and how they are split."""

    validation: float = Field(0.1, ge=0, le=0.5, description="Share of seconds for validation.")
    test: float = Field(0.1, ge=0, le=0.5, description="Share of seconds for the test.")
    duplicates: bool = Field(
        True, description="Leave out clips whose recording is there twice, also re-encoded."
    )
    rate_outliers: float = Field(
        4.0,
        ge=0,
        description="Robust deviations from the voice's own letters a second from which a clip is "
        "left out; 0: never. Needs 20 clips.",
    )


class Train(Section):
    """LoRA fine-tuning of CSM."""

    base_model: NonEmpty = Field(
        "unsloth/csm-1b",
        description="CSM to start from: Hub id or folder (DEFAULT_BASE_TTS_MODEL).",
    )
    max_steps: int = Field(1000, ge=1, description="Optimiser steps (DEFAULT_MAX_STEPS).")
    epochs: float = Field(0, ge=0, description="Passes over the clips instead of steps; 0: steps.")
    batch_size: int = Field(
        2, ge=1, description="Clips of full length in a batch (DEFAULT_BATCH_SIZE)."
    )
    gradient_accumulation: int = Field(
        8,
        ge=1,
        description="Batches in an optimiser step; times the batch size, its clips "
        "(DEFAULT_GRADIENT_ACCUMULATION).",
    )
    learning_rate: float = Field(
        2e-4, gt=0, le=1, description="Peak learning rate (DEFAULT_LEARNING_RATE)."
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="How the rate decays to 0 after the warm-up."
    )
    warmup_steps: int = Field(20, ge=0, description="Steps of linear warm-up.")
    lora_r: int = Field(32, ge=1, le=512, description="Rank of the LoRA matrices.")
    lora_alpha: int = Field(32, ge=1, description="Scale of the LoRA update is alpha / r.")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the LoRA matrices.")
    targets: str = Field(
        "",
        description="Regular expression of the modules that get LoRA; empty: every projection of "
        "backbone and depth decoder.",
    )
    depth_fraction: float = Field(
        0.25, gt=0, le=1, description="Share of frames the depth decoder learns from, drawn anew."
    )
    eval_every: int = Field(100, ge=1, description="Steps between validations.")
    samples: int = Field(
        8,
        ge=0,
        description="Validation sentences spoken and judged, to choose the checkpoint by; "
        "0: by validation loss.",
    )
    sample_every: int = Field(250, ge=1, description="Steps between spoken samples.")
    whisper: NonEmpty = Field(
        "package:whisper-base", description="Whisper that hears the samples, on the CPU."
    )
    patience: int = Field(
        5, ge=0, description="Validations without anything better before an early end; 0: never."
    )
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    seed: int = Field(0, ge=0, description="Seed of weights, order and draws.")
    device: Device = Field("auto", description="Where it runs.")
    backend: Literal["auto", "peft", "unsloth"] = Field(
        "auto", description="auto: unsloth on CUDA where it is installed, peft elsewhere."
    )
    preset: Literal["auto", "none", "6gb", "12gb", "24gb", "80gb"] = Field(
        "auto", description="How a step is cut into batches, by GPU memory; never what is learnt."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="auto: bf16 on GPUs, and for large models on CPUs, that have it; fp16 on other "
        "GPUs; else fp32.",
    )
    quantize: Literal["auto", "none", "8bit", "4bit"] = Field(
        "auto", description="The base's weights; auto: what the preset says."
    )
    processes: int = Field(
        1, ge=1, le=16, description="Processes that train together, one a GPU of one machine."
    )


class Synthesize(Section):
    """Speaking with the finished voice."""

    tts: NonEmpty = Field(
        "csm", description="What speaks; a package adds one by an entry point voice_clone.tts."
    )
    context: bool = Field(True, description="Let the reference clip steer the voice.")
    temperature: float = Field(0.9, gt=0, le=2, description="Sampling temperature.")
    top_k: int = Field(50, ge=1, description="Codes to sample from.")
    batch_size: int = Field(8, ge=1, description="Texts to say at the same time.")
    seed: int = Field(0, ge=0, description="Seed of the sampling.")
    device: Device = Field("auto", description="Where it runs.")


class Evaluate(Section):
    """Scores of base and clone."""

    max_texts: int = Field(8, ge=1, description="Test sentences to speak with each variant.")
    whisper: NonEmpty | None = Field(
        None, description="Whisper that counts word errors; default: transcribe.model."
    )
    device: Device = Field("auto", description="Where it runs.")


class Containers(Section):
    """Images of the stages, used with --sdm apptainer and on Kubernetes."""

    prefix: str = Field("docker://voice-clone", description="What stands before /vc-STAGE:TAG.")
    tag: str = Field("0.1.0", description="Tag of every image.")


class PipelineConfig(Section):
    """The whole configuration of a run."""

    voices: dict[Name, Voice] = Field(min_length=1, description="The voices to clone, by name.")
    output_dir: Path = Field(Path("results"), description="Results (DEFAULT_OUTPUT_DIR).")
    work_dir: Path = Field(Path("work"), description="Intermediate files; can be made again.")
    skip_failed_sources: bool = Field(
        True,
        description="A source whose stage has failed is left out of its voice on the next run "
        "and named in the report; false: it is tried again, and its voice waits for it.",
    )
    download: Download = Download()
    separate: Separate = Separate()
    segment: Segment = Segment()
    transcribe: Transcribe = Transcribe()
    curate: Curate = Curate()
    dataset: Dataset = Dataset()
    train: Train = Train()
    synthesize: Synthesize = Synthesize()
    evaluate: Evaluate = Evaluate()
    containers: Containers = Containers()
