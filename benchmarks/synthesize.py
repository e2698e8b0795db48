"""How fast CSM speaks by our decoding, against transformers' ``generate`` as it comes.

    python benchmarks/synthesize.py --size 141m
    python benchmarks/synthesize.py --size 1b --device cuda --dtype bfloat16

The same model says the same texts for the same number of frames on both sides, in turn in one
process, so that noise hits both alike; codes to sound is left out of both. On CUDA it also tells
the real-time factor of one text, and how near that is to what reading the weights must take.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import csm_sizes
import flops
import torch
from torch import Tensor

from vc_core import devices
from vc_csm import csm, decoder

TEXTS = (
    "The harbour was quiet when the first boats came in.",
    "Nobody had expected rain, and so nobody had brought a coat.",
    "She read the letter twice and put it back into the drawer.",
    "It takes about an hour on foot, or ten minutes by train.",
)
TEMPERATURE, TOP_K = 0.9, 50
COPIED, COPIES = 2**30, 20  # bytes, and how often, to measure the memory's rate


def load(args: argparse.Namespace) -> csm.Csm:
    """The model named, or one of random weights; neither ends an utterance by itself."""
    device = devices.choose(args.device)
    if args.model:
        model = csm.load(args.model, device, args.dtype)
    elif args.size == "micro":
        model = csm.load(str(csm_sizes.MICRO), device, args.dtype)
    else:
        made = csm_sizes.random_csm(args.size).to(device, getattr(torch, args.dtype))
        made.generation_config.pad_token_id = made.config.codebook_pad_token_id
        model = csm.Csm(made, csm.load_processor(str(csm_sizes.MICRO)), args.size)
    model.model.config.codebook_eos_token_id = -1
    return model


def prompts(model: csm.Csm, rows: int, frames: int) -> list[decoder.Prompt]:
    """So many texts, embedded."""
    base = model.model
    made = []
    for seed, text in zip(range(rows), itertools.cycle(TEXTS), strict=False):
        ids = torch.from_numpy(csm.prompt(model.processor, [], text, None)).to(base.device)
        with torch.inference_mode():
            made.append(decoder.Prompt(base.embed_text_tokens(ids), seed, frames))
    return made


def ours(model: csm.Csm, asked: Sequence[decoder.Prompt]) -> Callable[[], int]:
    """Our side: frames made by a call."""
    frames = asked[0].limit
    longest = max(len(prompt.embeddings) for prompt in asked)
    size = decoder.Size(len(asked), longest + frames, frames)
    engine = decoder.Decoder(model.model, size, TEMPERATURE, TOP_K)
    return lambda: sum(len(codes) for codes, _ in engine.say(asked))


def plain(model: csm.Csm, asked: Sequence[decoder.Prompt], **how: Any) -> Callable[[], int]:
    """Their side: frames made by a call, from the same prompts padded on the left.

    ``how`` are more keywords of ``generate``.
    """
    rows = [prompt.embeddings for prompt in asked]
    inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_side="left")
    attended = torch.nn.utils.rnn.pad_sequence(
        [torch.ones(len(row), dtype=torch.long, device=row.device) for row in rows],
        batch_first=True,
        padding_side="left",
    )

    def run() -> int:
        with torch.inference_mode():
            codes: Tensor = model.model.generate(
                inputs_embeds=inputs,
                attention_mask=attended,
                max_new_tokens=asked[0].limit,
                **csm.sampling(model.model.config, TEMPERATURE, TOP_K),
                **how,
            ).cpu()
        rows, frames, _ = codes.shape
        return int(rows * frames)

    return run


def frames_a_second(run: Callable[[], int]) -> float:
    """Of one call."""
    started = time.perf_counter()
    made = run()
    return made / (time.perf_counter() - started)


def compare(model: csm.Csm, rows: int, args: argparse.Namespace) -> float:
    """Print medians of both sides and their ratio; returns our frames a second."""
    asked = prompts(model, rows, args.frames)
    mine, theirs = ours(model, asked), plain(model, asked)
    mine(), theirs()
    pairs = [(frames_a_second(mine), frames_a_second(theirs)) for _ in range(args.rounds)]
    fast, slow = (float(statistics.median(column)) for column in zip(*pairs, strict=True))
    print(
        f"batch {rows}: {fast:.1f} frames/s, generate {slow:.2f} frames/s, ratio {fast / slow:.1f}"
    )
    return fast


def bytes_a_frame(base: Any) -> int:
    """Weights that one frame of one row cannot but read.

    The backbone's layers and head once, the depth decoder's for every codebook but the first, a
    head of its own for each of those. Of the embeddings it takes single rows.
    """
    depth = base.depth_decoder.model
    again = int(base.config.num_codebooks) - 1
    once: list[torch.nn.Module] = [
        base.backbone_model.layers,
        base.lm_head,
        base.depth_decoder.codebooks_head,
    ]
    often = [depth.layers, depth.inputs_embeds_projector]
    return sum(map(_bytes, once)) + again * sum(map(_bytes, often))


def _bytes(module: torch.nn.Module) -> int:
    return sum(int(weight.numel() * weight.element_size()) for weight in module.parameters())


def copy_rate(device: str = "cuda", size: int = COPIED) -> float:
    """Bytes a second that the device reads and writes in a copy within its memory."""
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    flops.wait(device)
    started = time.perf_counter()
    for _ in range(COPIES):
        target.copy_(source)
    flops.wait(device)
    return COPIES * 2 * size / (time.perf_counter() - started)


def limits(model: csm.Csm, rate: float) -> None:
    """Print how far one text's speech is from real time and from the memory's rate."""
    print(f"real-time factor at batch 1: {model.frame_rate / rate:.4f}")
    floor = bytes_a_frame(model.model) / copy_rate()
    print(
        f"reading the weights takes {floor * 1000:.2f} ms a frame at least, "
        f"a frame took {1000 / rate:.2f} ms: {1 / rate / floor:.1f} times that"
    )


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", choices=csm_sizes.SIZES, default="micro", help="size of the CSM")
    add("--model", help="a CSM's folder or Hub id instead")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights")
    add("--batch", type=int, nargs="+", default=[1, 32], help="texts said at the same time")
    add("--frames", type=int, default=40, help="frames of each text")
    add("--rounds", type=int, default=3, help="measurements of either side")
    args = parser.parse_args()
    model = load(args)
    print(f"{args.model or args.size}, {args.dtype}, {model.model.device}")
    rates = {rows: compare(model, rows, args) for rows in args.batch}
    if model.model.device.type != "cuda":
        print("no CUDA device: real-time factor and memory floor on a GPU are open")
    elif 1 in rates:
        limits(model, rates[1])


if __name__ == "__main__":
    main()
