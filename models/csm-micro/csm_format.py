"""What the CSMs made here have in common: their tokens, their chat template, their processor."""

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import CsmProcessor, EncodecFeatureExtractor, PreTrainedTokenizerFast

from vc_core.audio import TTS_RATE

SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|AUDIO|>", "<|audio_eos|>")
CHAT_TEMPLATE = """\
{%- for message in messages -%}
    {%- if not (message.role | string).isdigit() -%}
        {{- raise_exception("role must be a speaker's number, such as '0'") -}}
    {%- endif -%}
    {%- for part in message.content -%}
        {%- if part.type == "text" -%}
            {{- bos_token + "[" + (message.role | string) + "]" + part.text + eos_token -}}
        {%- elif part.type == "audio" -%}
            {{- "<|AUDIO|><|audio_eos|>" -}}
        {%- endif -%}
    {%- endfor -%}
{%- endfor -%}
"""


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, so every text of every language can be written in 261 tokens."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *bytes_])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    begin, end, pad, audio, audio_end = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        pad_token=pad,
        extra_special_tokens={"audio_token": audio, "audio_eos_token": audio_end},
        model_max_length=2048,
    )


def make_processor() -> CsmProcessor:
    """The tokenizer with CSM's template, and what hears 24 kHz."""
    hearing = EncodecFeatureExtractor(sampling_rate=TTS_RATE)
    return CsmProcessor(hearing, make_tokenizer(), chat_template=CHAT_TEMPLATE)
