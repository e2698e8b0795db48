"""Make the micro CSM: a base for training that fits in a repository and needs no network.

It has the exact formats of the real CSM (config, weights, tokenizer, chat template, a codec of
Mimi's kind) at a thousandth of its size, so that everything which works on it works on the real
one. It proves the mechanics, not the voice: what it says is noise.

    python models/csm-micro/make.py examples/interview.opus examples/interview.truth.json \
        --speaker host -o models/csm-micro

The recording's audio trains the codec. What one speaker says in it trains the language model, so
that the base and the voice fine-tuned from it differ.
"""

import argparse
import json
import math
import time
from pathlib import Path

import csm_format
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    CsmConfig,
    CsmForConditionalGeneration,
    CsmProcessor,
    MimiConfig,
    MimiModel,
    PreTrainedTokenizerFast,
)

from vc_core.audio import TTS_RATE as RATE
from vc_core.audio import Samples, read
from vc_csm import csm, mimi, objective
from vc_csm.options import MAX_SECONDS

SEED = 20260110
FRAME = 1920  # samples a frame: 12.5 frames/s, as CsmProcessor assumes for every CSM
CODEBOOKS, CODES = 8, 64
HIDDEN = 64

# The codec learns from random crops: first without quantizer, then its decoder with it.
CROP, CROPS = 8 * FRAME, 8
CODEC_STEPS, DECODER_STEPS, CODEC_RATE = 700, 300, 2e-3
STFT_SIZES = (64, 256, 512, 1024, 2048)

CSM_STEPS, CSM_BATCH, CSM_RATE = 60, 8, 2e-3


def make_config(tokenizer: PreTrainedTokenizerFast) -> CsmConfig:
    """The real model's shape, made small."""
    codec = MimiConfig(
        hidden_size=HIDDEN,
        num_filters=16,
        # 2 * 8 * 60 and the last halving are the 1920 samples of a frame. One long stride right
        # at full rate keeps the work there small: that makes training on a CPU possible.
        upsampling_ratios=[2, 8, 60],
        num_quantizers=CODEBOOKS,
        codebook_size=CODES,
        codebook_dim=32,
        vector_quantization_hidden_dimension=32,
        upsample_groups=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=2 * HIDDEN,
    )
    begin, _, pad, audio, audio_end = tokenizer.convert_tokens_to_ids(list(csm_format.SPECIAL))
    return CsmConfig(
        num_codebooks=CODEBOOKS,
        vocab_size=CODES + 3,
        text_vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.1,
        bos_token_id=begin,
        pad_token_id=pad,
        audio_token_id=audio,
        audio_eos_token_id=audio_end,
        codebook_eos_token_id=0,
        codebook_pad_token_id=CODES + 2,
        codec_config=codec.to_dict(),
        depth_decoder_config={
            "num_codebooks": CODEBOOKS,
            "vocab_size": CODES + 3,
            "backbone_hidden_size": HIDDEN,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": CODEBOOKS + 1,
            "initializer_range": 0.1,
        },
    )


def spectral_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean distance of magnitude spectra at several resolutions; both are [batch, samples]."""
    loss = made.new_zeros(())
    for size in STFT_SIZES:
        window = torch.hann_window(size)
        ours, theirs = (
            torch.stft(x, size, size // 4, window=window, return_complex=True).abs()
            / math.sqrt(size)
            for x in (made, wanted)
        )
        logs = (torch.log(ours + 1e-3) - torch.log(theirs + 1e-3)).abs().mean()
        loss = loss + logs + (ours - theirs).square().mean().sqrt()
    return loss / len(STFT_SIZES)


def crops(audio: Tensor, generator: torch.Generator) -> Tensor:
    """Random stretches of the recording, [crops, 1, samples]."""
    starts = torch.randint(0, len(audio) - CROP, (CROPS,), generator=generator).tolist()
    return torch.stack([audio[start : start + CROP] for start in starts])[:, None]


def train_codec(codec: MimiModel, audio: Tensor) -> None:
    """Train encoder and decoder around the latents, fill the codebooks, then mend the decoder.

    ``audio`` is [samples]. k-means on the finished encoder's latents gives codebooks whose every
    entry is in use; trained from random they would mostly be dead.
    """
    generator = torch.Generator().manual_seed(SEED)
    run_codec(codec, audio, generator, CODEC_STEPS, quantize=False)
    fill_codebooks(codec, audio, generator)
    codec.encoder.requires_grad_(False)
    run_codec(codec, audio, generator, DECODER_STEPS, quantize=True)
    codec.requires_grad_(False)


def run_codec(
    codec: MimiModel, audio: Tensor, generator: torch.Generator, steps: int, quantize: bool
) -> None:
    """Lower the spectral loss for so many steps."""
    weights = [weight for weight in codec.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=CODEC_RATE, betas=(0.8, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, CODEC_RATE, steps, pct_start=0.05)
    for step in range(steps):
        wanted = crops(audio, generator)
        latents = codec.encoder(wanted).latents
        if quantize:
            latents = codec.quantizer.decode(codec.quantizer.encode(latents).transpose(0, 1))
        else:
            # Noise in place of the quantizer that is to come.
            noise = torch.randn(latents.shape, generator=generator)
            latents = latents + 0.1 * latents.detach().std() * noise
        made = codec.decoder(latents).audio_values
        loss = spectral_loss(made[:, 0, :CROP], wanted[:, 0])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"codec {'with' if quantize else 'without'} codes, step {step}: {loss:.3f}")


@torch.no_grad()
def fill_codebooks(codec: MimiModel, audio: Tensor, generator: torch.Generator) -> None:
    """Fill both quantizers by k-means over the latents' principal components.

    The first codebook clusters the few strongest components alone; the others quantize all of
    them, each what the one before left over.
    """
    latents = codec.encoder(audio[None, None]).latents[0].T  # [frames, hidden]
    _, _, axes = torch.linalg.svd(latents - latents.mean(0), full_matrices=False)
    semantic = codec.quantizer.semantic_residual_vector_quantizer
    acoustic = codec.quantizer.acoustic_residual_vector_quantizer
    width = codec.config.vector_quantization_hidden_dimension
    for quantizer, kept in ((semantic, 4), (acoustic, width)):
        projection = torch.zeros(width, latents.shape[1])
        projection[:kept] = axes[:kept]
        quantizer.input_proj.weight.copy_(projection[..., None])
        quantizer.output_proj.weight.copy_(projection.T[..., None])
        left = latents @ projection.T
        for layer in quantizer.layers:
            centres, index = k_means(left, CODES, generator)
            layer.codebook.embed_sum.copy_(centres)
            layer.codebook.cluster_usage.fill_(1.0)
            layer.codebook._embed = None  # computed once from the sums, and kept
            left = left - centres[index]
    # Both quantizers' outputs are added, and the acoustic one says it all by itself.
    semantic.output_proj.weight.mul_(0.01)


def k_means(
    points: Tensor, count: int, generator: torch.Generator, rounds: int = 50
) -> tuple[Tensor, Tensor]:
    """Cluster [n, d] points; returns centres [count, d] and each point's centre [n].

    The rarest cluster comes first: a frame of zeros ends CSM's speech, so code 0 must not be
    the code of silence.
    """
    centres = points[torch.randperm(len(points), generator=generator)[:count]]
    for _ in range(rounds):
        index = torch.cdist(points, centres).argmin(1)
        for centre in range(count):
            members = points[index == centre]
            if len(members):
                centres[centre] = members.mean(0)
            else:
                far = (points - centres[index]).square().sum(1).argmax()
                centres[centre] = points[far]
                index[far] = centre
    usage = torch.bincount(torch.cdist(points, centres).argmin(1), minlength=count)
    centres = centres[usage.argsort(stable=True)]
    return centres, torch.cdist(points, centres).argmin(1)


def encode_turns(codec: MimiModel, audio: Samples, path: Path, speaker: str) -> list[csm.Utterance]:
    """The codes of one speaker's turns, those that CSM can take (at most ten seconds)."""
    turns = []
    for row in json.loads(path.read_text("utf-8"))["turns"]:
        if row["speaker"] != speaker or not 1 <= row["end"] - row["start"] <= MAX_SECONDS:
            continue
        samples = audio[round(row["start"] * RATE) : round(row["end"] * RATE)]
        turns.append(csm.Utterance(row["text"], mimi.encode(codec, samples)))
    return turns


def train_language_model(
    model: CsmForConditionalGeneration, processor: CsmProcessor, turns: list[csm.Utterance]
) -> None:
    """A short pretraining, so that the base knows what a frame and an end look like.

    Short, because the turns are few: longer, it learns them by heart and nothing else.
    """
    whole = csm.Csm(model.train(), processor, "csm-micro")
    generator = torch.Generator().manual_seed(SEED)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=CSM_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, CSM_RATE, CSM_STEPS)
    for step in range(CSM_STEPS):
        drawn = torch.randperm(len(turns), generator=generator)[:CSM_BATCH].tolist()
        batch = objective.make_batch(whole, [turns[index] for index in drawn])
        backbone, depth = objective.mean_losses(whole, batch)
        loss = backbone + depth
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == CSM_STEPS - 1:
            print(f"language model, step {step}: {loss:.3f}")


def write_out_tie(folder: Path) -> None:
    """Save the embeddings that backbone and depth decoder share under both names.

    transformers 5.17, which Unsloth needs, neither ties them while loading nor reads a config
    that says it should.
    """
    weights = load_file(folder / "model.safetensors")
    shared = weights["depth_decoder.model.embed_tokens.weight"]
    weights["backbone_model.embed_tokens.embed_audio_tokens.weight"] = shared.clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["tie_word_embeddings"] = False
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("audio", type=Path, help="recording of a few minutes")
    parser.add_argument("turns", type=Path, help="JSON: turns of start, end, speaker, text")
    parser.add_argument("--speaker", required=True, help="whose turns train the language model")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model's folder")
    return parser


def main() -> None:
    args = build_parser().parse_args()
    started = time.perf_counter()
    torch.manual_seed(SEED)
    torch.set_flush_denormal(True)
    # Layers this small gain nothing from threads, and one thread adds up the same way everywhere.
    torch.set_num_threads(1)
    audio, _ = read(args.audio, RATE)

    processor = csm_format.make_processor()
    tokenizer = processor.tokenizer
    model = CsmForConditionalGeneration(make_config(tokenizer))
    codec = model.codec_model
    train_codec(codec, torch.from_numpy(audio))
    turns = encode_turns(codec, audio, args.turns, args.speaker)
    print(f"{len(turns)} turns of {args.speaker}, {sum(len(turn.codes) for turn in turns)} frames")
    train_language_model(model, processor, turns)

    args.output.mkdir(parents=True, exist_ok=True)
    model.generation_config.update(do_sample=True, temperature=0.9, top_k=50)
    model.depth_decoder.generation_config.update(do_sample=True, temperature=0.9, top_k=50)
    model.save_pretrained(args.output)
    processor.save_pretrained(args.output)
    write_out_tie(args.output)
    made = [file for file in args.output.iterdir() if file.suffix in (".json", ".safetensors")]
    for file in made:
        file.chmod(0o644)  # safetensors writes for its owner alone
    size = sum(file.stat().st_size for file in made)
    print(f"{args.output}: {size / 1e6:.2f} MB in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
