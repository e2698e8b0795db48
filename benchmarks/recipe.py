"""The public recipe for fine-tuning CSM, rebuilt with plain transformers: what training is held to.

LoRA on a plain list of the seven projections (so on the codec's too), texts padded to 256
positions, sound to ten seconds, and the codec run on every clip at every step. Its features are
made once, before training, as the recipe makes them.

    python benchmarks/recipe.py DATASET --model FOLDER --clips 16 -o OUTPUT

OUTPUT gets training.jsonl and training.json, in the keys of ``vc-train``.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Audio, load_dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    CsmForConditionalGeneration,
    CsmProcessor,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

from vc_core import audio

POSITIONS = 256
SAMPLES = 240_001
RANK = 32
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
KEYS = ["input_ids", "attention_mask", "labels", "input_values", "input_values_cutoffs"]


class CountingTrainer(Trainer):  # type: ignore[misc]
    """A Trainer that remembers how many frames it learnt: positions of sound that are no padding.

    The counts stay on the device, so that counting makes nothing wait.
    """

    learnt: list[torch.Tensor]

    def training_step(self, model: Any, inputs: Any, *more: Any, **options: Any) -> Any:
        """Count, and leave the step as it is."""
        self.learnt.append((inputs["labels"] != -100).sum())
        return super().training_step(model, inputs, *more, **options)


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each optimizer step ended, in seconds since training began."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start counting."""
        self.started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.seconds.append(time.perf_counter() - self.started)


def features(dataset: Path, processor: Any, clips: int, cache: Path) -> Any:
    """What the processor makes of the first clips, once; the dataset is repeated to be enough."""
    files = str(dataset / "data" / "train-*.parquet")
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(cache))
    rows = rows.cast_column("audio", Audio(decode=False))
    rows = rows.select(range(min(clips, len(rows))))

    def prepare(row: dict[str, Any]) -> dict[str, Any]:
        sound = audio.decode(row["audio"]["bytes"], audio.TTS_RATE)
        content = [{"type": "text", "text": row["text"]}, {"type": "audio", "path": sound}]
        made = processor.apply_chat_template(
            [{"role": "0", "content": content}],
            tokenize=True,
            return_dict=True,
            output_labels=True,
            text_kwargs={
                "padding": "max_length",
                "max_length": POSITIONS,
                "padding_side": "right",
            },
            audio_kwargs={
                "sampling_rate": audio.TTS_RATE,
                "padding": "max_length",
                "max_length": SAMPLES,
            },
            common_kwargs={"return_tensors": "pt"},
        )
        return {key: made[key][0] for key in KEYS}

    made = rows.map(prepare, remove_columns=rows.column_names).with_format("torch")
    return made.select([index % len(made) for index in range(clips)])


def train(args: argparse.Namespace) -> tuple[CountingTrainer, Clock]:
    """One epoch over the clips."""
    cuda, bf16 = torch.cuda.is_available(), args.precision == "bf16"
    processor = CsmProcessor.from_pretrained(args.model)
    model = CsmForConditionalGeneration.from_pretrained(
        args.model, dtype=torch.bfloat16 if bf16 else torch.float32
    )
    # On CUDA autocast adds up the embeddings of a frame in float32, which the model then refuses.
    embed = model.backbone_model.embed_tokens
    kind = embed.embed_audio_tokens.weight.dtype
    embed.register_forward_hook(lambda _, __, out: out.to(kind))
    lora = LoraConfig(r=RANK, lora_alpha=RANK, lora_dropout=0.0, target_modules=PROJECTIONS)
    clock = Clock()
    trainer = CountingTrainer(
        model=get_peft_model(model, lora),
        train_dataset=features(args.dataset, processor, args.clips, args.output / "cache"),
        callbacks=[clock],
        args=TrainingArguments(
            output_dir=str(args.output),
            per_device_train_batch_size=args.batch_size,
            gradient_accumulation_steps=args.gradient_accumulation,
            num_train_epochs=1,
            learning_rate=2e-4,
            warmup_steps=5,
            lr_scheduler_type="linear",
            weight_decay=0.001,
            optim="adamw_torch",
            bf16=bf16,
            use_cpu=not cuda,
            dataloader_num_workers=4 if cuda else 0,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=args.seed,
        ),
    )
    trainer.learnt = []
    trainer.train()
    return trainer, clock


def write(folder: Path, trainer: CountingTrainer, clock: Clock, accumulation: int) -> None:
    """Rows of steps and the peak of the GPU's memory, under the names that ``vc-train`` uses."""
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    if not all(math.isfinite(loss) for loss in losses):
        raise SystemExit(f"the recipe's loss is not a number: {losses}")
    frames = [int(count) for count in trainer.learnt]
    rows = [
        {
            "step": step + 1,
            "seconds": seconds,
            "frames": sum(frames[step * accumulation : (step + 1) * accumulation]),
            "loss": loss,
        }
        for step, (seconds, loss) in enumerate(zip(clock.seconds, losses, strict=True))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    record: dict[str, Any] = {}
    if torch.cuda.is_available():
        record["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    (folder / "training.json").write_text(json.dumps(record) + "\n", "utf-8")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("dataset", type=Path, help="the dataset's folder, as vc-dataset writes it")
    parser.add_argument("--model", type=Path, required=True, help="the CSM's folder")
    parser.add_argument("--clips", type=int, required=True, help="clips of the one epoch")
    parser.add_argument("--batch-size", type=int, default=2, help="clips in a batch")
    parser.add_argument("--gradient-accumulation", type=int, default=4, help="batches in a step")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    return parser


def main() -> None:
    """Train for an epoch and write how long each step took."""
    args = build_parser().parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    trainer, clock = train(args)
    write(args.output, trainer, clock, args.gradient_accumulation)


if __name__ == "__main__":
    main()
