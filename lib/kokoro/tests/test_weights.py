"""Loading: packages, folders of the Hub's format, voices, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vc_core.errors import InputError
from vc_kokoro import options, packaged, phonemes, weights

SENTENCE = "The quick brown fox jumps over the lazy dog near the river."
REAL = pytest.mark.usefixtures("real_cache")


@pytest.fixture
def real_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real model is made once for all tests, where make setup has put it."""
    monkeypatch.undo()
    if not (packaged.folder() / "voices").is_dir():
        pytest.skip("the stock voices are not installed: make setup")


@REAL
def test_it_speaks_as_the_onnx_file_does_that_it_was_made_from() -> None:
    import onnx
    import onnxruntime

    base = weights.load(options.PACKAGED)
    voice = base.voices("en")["am_michael"]
    text = base.network.encode(phonemes.of(SENTENCE, "en"))
    style = weights.style_of(voice, text.ids)
    with torch.no_grad():
        ours = base.network.prosody(text, style)
        sound = base.network.sound(text, ours, style).numpy()

    model = onnx.load_from_string(packaged.joined())
    told = ("/encoder/Clip_output_0", "/encoder/F0_proj/Conv_output_0")
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in told)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    frames, f0, theirs = session.run(
        [*told, "audio"],
        {"tokens": text.ids.numpy(), "style": style.numpy(), "speed": np.ones(1, np.float32)},
    )
    frames, f0 = np.ravel(frames), np.ravel(f0)
    # The export computes with 8 bits, so a duration may be rounded to the other side.
    assert np.mean(frames == ours.frames.numpy()) > 0.9
    assert np.abs(frames - ours.frames.numpy()).max() <= 1
    manner = style[:, 128:]
    inner, _ = base.network.predictor.durations(text.prosodic, manner)
    curve, _ = base.network.predictor.contours(inner, torch.from_numpy(frames).long(), manner)
    voiced = f0 > 60
    assert np.median(np.abs(curve.detach().numpy()[0] - f0)[voiced] / f0[voiced]) < 0.01
    # The export leaves out the division by the sum of the inverse transform's squared windows, 1.5.
    louder = np.std(theirs) / np.std(sound)
    assert abs(20 * np.log10(louder / 1.5)) < 0.5


def as_on_the_hub(micro: Path, folder: Path) -> Path:
    """The micro model as hexgrad publishes Kokoro: parts, weight norm, voices of torch."""
    (folder / "voices").mkdir(parents=True)
    config = json.loads((micro / "config.json").read_text("utf-8"))
    del config["model_type"]
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in load_file(micro / "model.safetensors").items():
        part, _, rest = name.partition(".")
        if ".convs1." in name and rest.endswith("weight"):
            norm = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            normed = {"weight_g": norm, "weight_v": 3 * value}
        else:
            normed = {rest.rpartition(".")[2]: value}
        stem = rest.rpartition(".")[0]
        for last, tensor in normed.items():
            parts.setdefault(part, {})[f"module.{stem}.{last}" if stem else f"module.{last}"] = (
                tensor
            )
    torch.save(parts, folder / "kokoro-v1_0.pth")
    for path in (micro / "voices").glob("*.bin"):
        voice = weights.read_voice(path, 16)
        torch.save(voice[:, None], folder / "voices" / f"{path.stem}.pt")
    return folder


def test_the_hubs_format_loads_as_ours(micro: Path, tmp_path: Path) -> None:
    theirs, ours = weights.load(str(as_on_the_hub(micro, tmp_path))), weights.load(str(micro))
    for name, value in ours.network.state_dict().items():
        torch.testing.assert_close(theirs.network.state_dict()[name], value)
    assert weights.fingerprint(theirs) == weights.fingerprint(ours)
    assert list(theirs.voices("en")) == ["af_one", "af_two", "am_three", "bf_four"]
    torch.testing.assert_close(theirs.voices("es")["ef_five"], ours.voices("es")["ef_five"])


def test_a_language_without_stock_voices_is_refused(micro: Path) -> None:
    with pytest.raises(InputError, match="no stock voices for 'it'"):
        weights.load(str(micro)).voices("it")


def test_a_voice_of_another_model_is_refused(tmp_path: Path) -> None:
    np.zeros(100 * 16, "<f4").tofile(tmp_path / "af_x.bin")
    with pytest.raises(InputError, match="510 rows of 16 numbers, this one 100"):
        weights.read_voice(tmp_path / "af_x.bin", 16)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{}", "config.json is not Kokoro's"),
        ("model.safetensors", None, "no model.safetensors or kokoro"),
    ],
)
def test_a_folder_that_is_no_kokoro_is_refused(
    micro: Path, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    folder = shutil.copytree(micro, tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content, "utf-8")
    with pytest.raises(InputError, match=said):
        weights.load(str(folder))


def test_parts_that_do_not_belong_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "part.bin").write_bytes(b"something else")
    monkeypatch.setattr("vc_core.models.package_folder", lambda package: tmp_path)
    with pytest.raises(InputError, match="do not make the expected model"):
        packaged.joined()


def test_a_node_of_the_graph_tells_its_module() -> None:
    assert packaged.module_of("/encoder/F0.1/conv1/Conv_quant") == "predictor.F0.1.conv1"
    assert (
        packaged.module_of("/decoder/decoder/asr_res/asr_res.0/Conv_quant") == "decoder.asr_res.0"
    )
    assert packaged.module_of("/encoder/text_encoder/cnn.0/cnn.0.0/Conv") == "text_encoder.cnn.0.0"
