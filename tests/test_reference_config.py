"""Ways to say where the target is heard alone, and what the workflow makes of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from voice_pipeline.faults import ConfigError
from voice_pipeline.settings import resolve
from voice_pipeline.workflow import Plan


def config(reference: dict[str, Any]) -> dict[str, Any]:
    ada = {"consent": "Ada, written", "sources": ["one.wav", "two.wav"], "reference": reference}
    return {"voices": {"ada": ada}}


@pytest.mark.parametrize(
    ("reference", "audio", "spans"),
    [
        ({}, ["work/ada/one/vocals.flac"], ["0:15 one"]),
        (
            {"source": "two", "start": 61.25, "end": 74},
            ["work/ada/two/vocals.flac"],
            ["61.25:74 two"],
        ),
        (
            {"slices": [{"start": 1, "end": 5}, {"source": "two", "start": 2, "end": 8}]},
            ["work/ada/one/vocals.flac", "work/ada/two/vocals.flac"],
            ["1:5 one", "2:8 two"],
        ),
        (
            {"source": "two", "slices": [{"end": 5}, {"start": 12345.678, "end": 12350}]},
            ["work/ada/two/vocals.flac"] * 2,
            ["0:5 two", "12345.678:12350 two"],
        ),
        ({"file": "a b.wav"}, ["a b.wav"], ["0: a b.wav"]),
        ({"file": "a.wav", "start": 2, "end": 9}, ["a.wav"], ["2:9 a.wav"]),
        ({"files": ["a.wav", "b.ogg"]}, ["a.wav", "b.ogg"], ["0: a.wav", "0: b.ogg"]),
    ],
)
def test_each_slice_has_its_recording_times_and_name(
    reference: dict[str, Any], audio: list[str], spans: list[str]
) -> None:
    made = resolve(config(reference), environment={})
    plan, wildcards = Plan(made), SimpleNamespace(voice="ada")
    assert plan.reference_audio(wildcards) == audio
    options = plan.reference_options(wildcards)
    assert options[::4] == ["--slice"] * len(spans) and options[2::4] == ["--name"] * len(spans)
    told = [f"{span} {name}" for span, name in zip(options[1::4], options[3::4], strict=True)]
    assert told == spans
    # What a run writes down means the same when it is read again.
    assert resolve(made.model_dump(mode="json"), environment={}) == made


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"file": "a.wav", "source": "one"}, "give file or source, not both"),
        ({"file": "a.wav", "files": ["b.wav"]}, "give file or files, not both"),
        ({"files": ["a.wav"], "end": 4}, "belong to a single slice"),
        ({"slices": [{"end": 5}], "start": 3}, "belong to a single slice"),
        ({"slices": [{"start": 5, "end": 3}]}, "end (3) must be after start (5)"),
        ({"slices": [{"start": 5}]}, "reference.slices.0.end is missing"),
        ({"slices": [{"source": "three", "end": 3}]}, "'three' is no source; there are: one, two"),
        ({"slices": [{"en": 3}]}, "did you mean 'end'"),
    ],
)
def test_what_cannot_be_meant_is_refused(reference: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(config(reference), environment={})
    assert said in str(caught.value) and "\n" not in str(caught.value)
