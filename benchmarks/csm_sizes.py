"""CSMs of several sizes to measure with: true shapes, random weights.

How long a step takes does not depend on what a model has learnt, so random weights of the real
shape cost what the real ones cost.
"""

from pathlib import Path
from typing import Any

from vc_csm import csm
from vc_speech import pretrained

MICRO = Path(__file__).parent.parent / "models" / "csm-micro"
SIZES = ("micro", "141m", "1b")  # parameters, without the codec
SEED = 20260110
FRAME = 1920  # samples a frame of all these codecs


def prepare(size: str, folder: Path, device: str = "cpu") -> Path:
    """The folder of a CSM that ``from_pretrained`` loads: the shipped micro, or one made anew.

    ``device`` makes it; on CUDA its weights, but for the codec's, are bf16, as they are published.
    """
    if size == "micro":
        return MICRO
    place = folder / f"csm-{size}"
    random_csm(size, device).save_pretrained(place)
    csm.load_processor(str(MICRO)).save_pretrained(place)
    return place


def random_csm(size: str, device: str = "cpu") -> Any:
    """A CSM of random weights around a codec of the real Mimi's shape."""
    import torch
    from transformers import CsmForConditionalGeneration

    pretrained.quiet()
    torch.manual_seed(SEED)
    with torch.device(device):
        model = CsmForConditionalGeneration(config_of(size))
    fill_codebooks(model.codec_model)
    if device.startswith("cuda"):
        codec = model.codec_model
        model.codec_model = None
        model.to(torch.bfloat16)
        model.codec_model = codec
    return model.eval()


def config_of(size: str) -> Any:
    """The real CSM's configuration, or one of a tenth of its size with its proportions.

    The tokens are those of the micro CSM, whose tokenizer these models share.
    """
    from transformers import CsmConfig, MimiConfig

    micro = CsmConfig.from_pretrained(MICRO)
    tokens = ("bos_token_id", "pad_token_id", "audio_token_id", "audio_eos_token_id")
    ids = {name: getattr(micro, name) for name in tokens}
    codec = MimiConfig().to_dict()
    if size == "1b":
        return CsmConfig(**ids, codec_config=codec)
    backbone = {"hidden_size": 640, "intermediate_size": 2560, "num_hidden_layers": 11}
    backbone |= {"num_attention_heads": 10, "num_key_value_heads": 2}
    depth = {"hidden_size": 320, "intermediate_size": 2560, "num_hidden_layers": 4}
    depth |= {"num_attention_heads": 5, "num_key_value_heads": 1}
    depth["backbone_hidden_size"] = backbone["hidden_size"]
    return CsmConfig(
        **ids,
        **backbone,
        text_vocab_size=micro.text_vocab_size,
        codec_config=codec,
        depth_decoder_config=depth,
    )


def fill_codebooks(codec: Any) -> None:
    """Spread every codebook over what it has to quantize; as made, all its entries are zero."""
    import torch

    noise = torch.randn(1, 1, 10 * codec.config.sampling_rate, device=codec.device)
    quantizer = codec.quantizer
    with torch.inference_mode():
        heard = codec.encoder(0.1 * noise)
        latents = getattr(heard, "latents", heard)  # transformers 5.17 has no name for them
        for part in (
            quantizer.semantic_residual_vector_quantizer,
            quantizer.acoustic_residual_vector_quantizer,
        ):
            left = part.input_proj(latents)[0].T  # [frames, dimensions]
            for layer in part.layers:
                book = layer.codebook
                drawn = torch.randn_like(book.embed_sum)
                book.embed_sum.copy_(left.mean(0) + left.std(0) * drawn)
                book._embed = None  # computed once from the sums, and kept
                left = left - book.decode(book.quantize(left))
