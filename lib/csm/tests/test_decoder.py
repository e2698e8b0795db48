"""Our decoding of CSM against transformers' own, code by code and draw by draw."""

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from vc_csm import csm, decoder, mimi, objective
from vc_csm.csm import Csm, Utterance
from vc_csm.options import CsmSpeaking

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
TEXTS = ["Hello.", "A longer second sentence, for once.", "Third!"]
CONTEXT = Utterance(
    "Heard before.", np.random.default_rng(0).integers(1, 64, (20, 8)).astype(np.int16)
)


@pytest.fixture(scope="module")
def micro() -> Csm:
    return csm.load(str(MICRO), "cpu")


def with_lora(model: Csm) -> Csm:
    """The same model under a LoRA adapter with random weights, as in training."""
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=csm.LORA_TARGETS, init_lora_weights=False)
    return Csm(
        get_peft_model(copy.deepcopy(model.model), config).eval(), model.processor, model.name
    )


def inputs(model: Csm, text: str, context: list[Utterance]) -> dict[str, Any]:
    ids = torch.from_numpy(csm.prompt(model.processor, context, text, None))[None]
    base = csm.base_of(model.model)
    codes, places = csm.closed(context, base.config), csm.sounding(ids, base.config)
    embedded = csm.embed(base, ids, codes, places)
    return {"inputs_embeds": embedded, "attention_mask": torch.ones_like(ids)}


def theirs(model: Csm, text: str, context: list[Utterance], frames: int) -> torch.Tensor:
    """The likeliest codes [frames, codebooks] by ``generate``, closing frame and all."""
    base, given = csm.base_of(model.model), inputs(model, text, context)
    with torch.inference_mode():
        return base.generate(
            inputs_embeds=given["inputs_embeds"],
            attention_mask=given["attention_mask"],
            max_new_tokens=frames,
            **csm.sampling(base.config, 0.0, 1),
        )[0]


def prompts(model: Csm, texts: list[str], context: list[Utterance], limit: int) -> list[Any]:
    with torch.inference_mode():
        embedded = [inputs(model, text, context)["inputs_embeds"][0] for text in texts]
    return [decoder.Prompt(rows, seed, limit) for seed, rows in enumerate(embedded)]


@pytest.mark.parametrize("context", [[], [CONTEXT]], ids=["alone", "context"])
@pytest.mark.parametrize("lora", [False, True], ids=["plain", "lora"])
def test_the_likeliest_codes_are_those_of_generate(
    micro: Csm, lora: bool, context: list[Utterance]
) -> None:
    model = with_lora(micro) if lora else micro
    base = csm.base_of(model.model)
    engine = decoder.Decoder(base, decoder.Size(4, 200, 30), 0.0, 50)
    alone = decoder.Decoder(base, decoder.Size(1, 200, 30), 0.0, 50)
    asked = prompts(model, TEXTS, context, 30)
    for text, row, (codes, ended) in zip(TEXTS, asked, engine.say(asked), strict=True):
        wanted = theirs(model, text, context, 30)
        assert torch.equal(codes, wanted[: len(codes)])
        assert len(wanted) == len(codes) + ended
        assert not ended or not wanted[-1, :-1].any()
        again, _ = alone.say([row])[0]
        assert torch.equal(again, codes)


def test_an_engine_speaks_again_after_something_longer(micro: Csm) -> None:
    engine = decoder.Decoder(csm.base_of(micro.model), decoder.Size(1, 200, 30), 0.9, 50)
    short, long = prompts(micro, TEXTS[:2], [], 30)
    first = engine.say([short])[0][0]
    engine.say([long])
    assert torch.equal(engine.say([short])[0][0], first)
    with pytest.raises(ValueError, match="do not fit"):
        engine.say([decoder.Prompt(short.embeddings, 0, 31)])


def test_a_wider_span_changes_nothing(micro: Csm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph sees more positions than are filled; on the CPU the same function can, too."""
    base = csm.base_of(micro.model)
    asked = prompts(micro, TEXTS, [CONTEXT], 30)
    engine = decoder.Decoder(base, decoder.Size(3, 200, 30), 0.9, 50)
    narrow = engine.say(asked)
    monkeypatch.setattr(decoder, "GRAPH_SPAN", 64)
    monkeypatch.setattr(engine, "_run", lambda at: engine._frame(engine._span(at)))
    for (ours, _), (wide, _) in zip(narrow, engine.say(asked), strict=True):
        assert torch.equal(ours, wide)


def test_nothing_in_a_frame_depends_on_values(micro: Csm) -> None:
    """What a graph cannot record, such as asking a tensor for its number, fails without any."""
    model = copy.deepcopy(csm.base_of(with_lora(micro).model)).to("meta")
    engine = decoder.Decoder(model, decoder.Size(2, 80, 10), 0.9, 5)
    with torch.inference_mode():
        engine._frame(64)
    # One frame was made, of tensors that have no values.
    assert engine._codes.is_meta


class Replayed:
    """Stands for ``torch.cuda.CUDAGraph``: calls again what was recorded, which did not run."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def pool(self) -> str:
        return "pool"

    def replay(self) -> None:
        (work,) = self.work
        work()


def test_graphs_are_recorded_for_what_is_needed_and_replayed(
    micro: Csm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way that only CUDA goes, on a CPU: warm up, record once a span, replay, look at times."""
    base = csm.base_of(micro.model)
    asked = prompts(micro, TEXTS, [CONTEXT], 40)
    engine = decoder.Decoder(base, decoder.Size(3, 200, 40), 0.9, 50)
    plain = engine.say(asked)
    recording: list[Replayed] = []
    made = engine._frame

    def frame(span: int) -> None:
        if recording:
            recording[-1].work.append(lambda: made(span))
        else:
            made(span)

    @contextlib.contextmanager
    def record(graph: Replayed, pool: str | None) -> Iterator[None]:
        assert pool == ("pool" if engine._graphs else None)
        recording.append(graph)
        yield
        recording.pop()

    monkeypatch.setattr(decoder, "GRAPH_SPAN", 32)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Replayed)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(engine, "_frame", frame)
    monkeypatch.setattr(engine, "_on_cuda", True)
    monkeypatch.setattr(engine, "_look", decoder.GRAPH_LOOK)
    longest = max(len(prompt.embeddings) for prompt in asked)
    spans = {-(-position // 32) * 32 for position in range(longest, longest + 40)}
    for _ in range(2):
        replayed = engine.say(asked)
        assert engine._graphs.keys() == spans
        assert len(spans) > 1
        for (ours, ended), (wanted, stopped) in zip(replayed, plain, strict=True):
            assert torch.equal(ours, wanted)
            assert ended == stopped


def say_all(
    model: Csm, texts: Sequence[str], context: list[Utterance], seeds: list[int], **how: Any
) -> list[csm.Speech]:
    return csm.Speaker(model, context, CsmSpeaking(**how)).say(texts, seeds)


def test_a_seed_says_the_same_alone_in_a_batch_and_streamed(micro: Csm) -> None:
    seeds = [5, 6, 7]
    assert say_all(micro, [], [], []) == []
    batch = say_all(micro, TEXTS, [CONTEXT], seeds, batch_size=2)
    speaker = csm.Speaker(micro, [CONTEXT], CsmSpeaking())
    for text, seed, said in zip(TEXTS, seeds, batch, strict=True):
        alone = csm.speak(micro, text, [CONTEXT], seed=seed)
        np.testing.assert_array_equal(alone.codes, said.codes)
        streamed = [np.zeros(0), *speaker.stream(text, seed)]
        np.testing.assert_allclose(np.concatenate(streamed), said.samples, atol=1e-5)
    other = csm.speak(micro, TEXTS[1], [CONTEXT], seed=8)
    assert other.codes.tolist() != batch[1].codes.tolist()


@pytest.mark.parametrize(("temperature", "top_k"), [(0.9, 5), (1.5, 64), (0.5, 1)])
def test_draws_are_distributed_as_by_generate(micro: Csm, temperature: float, top_k: int) -> None:
    """Scores as suppression, temperature and top-k leave them, against many draws."""
    rows = 20_000
    engine = decoder.Decoder(csm.base_of(micro.model), decoder.Size(1, 40, 30), temperature, top_k)
    scores = torch.randn(1, 67, generator=torch.Generator().manual_seed(0))
    scores[0, 64:] = 9.0  # no code at all
    books = 8
    noise = engine._drawn(decoder.Prompt(torch.zeros(1, 64), 3, rows // books)).flatten(0, 1)
    drawn = engine._draw(scores.expand(rows, -1), noise)
    seen = torch.bincount(drawn, minlength=67)[:64] / rows

    kept = scores[0, :64] / temperature
    kept[kept < kept.topk(top_k).values[-1]] = -torch.inf
    wanted = kept.softmax(dim=0)
    assert not seen[wanted == 0].any()
    chi_square = (rows * (seen - wanted) ** 2 / wanted)[wanted > 0].sum()
    # Its mean is the number of codes less one, its standard deviation sqrt(2 * that).
    assert chi_square <= top_k + 4 * (2 * top_k) ** 0.5


def test_a_merged_adapter_says_what_the_live_one_says(micro: Csm, tmp_path: Path) -> None:
    with_lora(micro).model.save_pretrained(tmp_path)
    live = csm.load(str(MICRO), "cpu", adapter=str(tmp_path))
    merged = csm.merged(csm.load(str(MICRO), "cpu", adapter=str(tmp_path)))
    assert not hasattr(merged.model, "disable_adapter")
    said = say_all(live, TEXTS, [], [0, 1, 2], temperature=0)
    again = say_all(merged, TEXTS, [], [0, 1, 2], temperature=0)
    for one, other in zip(said, again, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)


def test_in_bfloat16_the_codec_stays_as_it_is(micro: Csm) -> None:
    low = csm.load(str(MICRO), "cpu", "bfloat16")
    sound = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    heard = [mimi.encode(model.model.codec_model, sound) for model in (micro, low)]
    np.testing.assert_array_equal(*heard)
    said = say_all(low, TEXTS, [CONTEXT], [0, 1, 2])
    assert all(np.isfinite(speech.samples).all() and len(speech.codes) for speech in said)


def test_training_goes_on_after_speaking(micro: Csm) -> None:
    model = with_lora(micro)
    before = csm.speak(model, TEXTS[0], temperature=0)
    batch = objective.make_batch(model, [Utterance("Learn this.", CONTEXT.codes)])
    torch.autograd.backward(sum(objective.mean_losses(model, batch)))
    learning = [weight for weight in model.model.parameters() if weight.requires_grad]
    assert learning and all(weight.grad is not None for weight in learning)
    with torch.no_grad():
        for weight in learning:
            weight.sub_(0.5 * weight.grad)
    assert csm.speak(model, TEXTS[0], temperature=0).codes.tolist() != before.codes.tolist()


def test_joining_layers_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = csm.load(str(MICRO), "cpu").model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    decoder.Decoder(model, decoder.Size(1, 40, 5), 0.0, 1)
    joined = model.backbone_model.layers[0].mlp.up_proj.weight.data_ptr()
    decoder.Decoder(model, decoder.Size(1, 40, 5), 0.0, 1)
    assert model.backbone_model.layers[0].mlp.up_proj.weight.data_ptr() == joined
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.save_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in again.state_dict().items())


def test_the_length_a_text_may_take() -> None:
    assert csm.frame_limit("a" * 14, 12.5, 10.0) == 50
    assert csm.frame_limit("a" * 14, 12.5, 10.0, 14.0) == 38
    assert csm.frame_limit("a" * 1000, 12.5, 10.0) == 125


def test_the_rate_of_a_voice_is_read_from_its_adapter(tmp_path: Path) -> None:
    assert csm.rate_of(tmp_path) is None
    assert csm.slowest("") == csm.slowest(tmp_path) == csm.SLOW
    (tmp_path / "training.json").write_text('{"letters_a_second": 15.0}')
    assert csm.rate_of(tmp_path) == 15.0
    assert csm.slowest(tmp_path) == pytest.approx(9.0)


def test_a_prefix_of_the_codes_is_a_prefix_of_the_sound(micro: Csm) -> None:
    """What streaming rests on; with the real codec's architecture, too."""
    from transformers import MimiConfig, MimiModel

    torch.manual_seed(0)
    small = MimiConfig(
        num_filters=8,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        intermediate_size=64,
        upsample_groups=64,
    )
    for codec in (micro.model.codec_model, MimiModel(small).eval()):
        books = codec.config.num_quantizers
        codes = np.random.default_rng(1).integers(0, 64, (60, books)).astype(np.int16)
        whole = mimi.decode(codec, codes)
        np.testing.assert_allclose(mimi.decode(codec, codes[:23]), whole[: 23 * 1920], atol=1e-4)
        stream = mimi.Stream(codec)
        pieces = [stream.feed(codes[at : at + 7]) for at in range(0, 60, 7)]
        np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_replayed_graph_makes_the_codes_of_the_plain_function(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = csm.load(str(MICRO), "cuda", dtype)
    asked = prompts(model, TEXTS, [CONTEXT], 60)
    engine = decoder.Decoder(csm.base_of(model.model), decoder.Size(3, 300, 60), 0.0, 1)
    replayed = engine.say(asked)
    started = time.perf_counter()
    frames = max(len(codes) for codes, _ in engine.say(asked))
    took = time.perf_counter() - started
    print(f"{dtype}: real-time factor {took / frames * model.frame_rate:.4f}")
    monkeypatch.setattr(engine, "_run", lambda at: engine._frame(engine._span(at)))
    for (ours, _), (eager, _) in zip(replayed, engine.say(asked), strict=True):
        assert torch.equal(ours, eager)
