"""An option's one home: the model is the command line, and says every value of itself."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from vc_core import options, shared
from vc_core.options import Ambient, Environment, Home, Incidental, NonEmpty, Options


class Toy(Options):
    """What a toy can be told."""

    name: Annotated[NonEmpty, Field(default="bear", description="Called."), Home("models.toy")]
    steps: Annotated[
        int, Field(default=3, ge=1, description="Steps it walks."), Environment("DEFAULT_STEPS")
    ]
    loudness: Annotated[float, Field(default=-23.0, ge=-50, le=0, description="LUFS.")]
    likeness: Annotated[shared.CosineOrAuto, Field(default="auto", description="To a bear.")]
    wound: Annotated[bool, Field(default=True, description="Wound up.")]
    place: Annotated[Path | None, Field(default=None, description="Where it stands.")]
    friends: Annotated[list[NonEmpty], Field(default=[], description="Who comes.")]
    device: Annotated[
        Literal["auto", "cpu"], Field(default="auto", description="Where."), Incidental()
    ]
    secret: Annotated[str, Field(default="", description="Told to nobody."), Ambient("TOY_SECRET")]
    rooms: Annotated[
        list[NonEmpty], Field(default=[], description="Where it may go."), Ambient("TOY_ROOMS", ",")
    ]


def parser() -> options.Parser:
    made = options.Parser("toy")
    made.add_argument("input")
    options.add(made, Toy)
    return made


def read(*arguments: str) -> Toy:
    toy = parser().named(["in.txt", *arguments])["options"]
    assert isinstance(toy, Toy)
    return toy


def test_defaults_and_plain_arguments() -> None:
    given = parser().named(["in.txt"])
    assert given == {"input": "in.txt", "options": Toy.model_validate({})}


def test_every_kind_of_value_is_read() -> None:
    toy = read(
        *("--name", "a bear, brown", "--steps=7", "--loudness=-30", "--likeness", "0.5"),
        *("--no-wound", "--place", "a/b", "--friends", "cat", "--friends", "dog"),
    )
    assert (toy.name, toy.steps, toy.loudness, toy.likeness) == ("a bear, brown", 7, -30.0, 0.5)
    assert (toy.wound, toy.place, toy.friends) == (False, Path("a/b"), ["cat", "dog"])
    assert read("--name", "None").name == "None"


def test_what_is_said_is_read_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = read("--loudness=-30.1", "--no-wound", "--likeness=-0.25", "--friends=cat", "--name=x y")
    learnt, how = (options.words(Toy, toy.model_dump(), kind) for kind in (False, True))
    assert how == ["--device=auto"]
    assert "--loudness=-30.1" in learnt and "--no-wound" in learnt and "--name=x y" in learnt
    assert not [word for word in learnt if word.startswith(("--secret", "--rooms", "--place"))]
    assert read(*learnt, *how) == toy


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--steps", "0"), "argument --steps: '0': input should be greater than or equal to 1"),
        (("--steps", "two"), "argument --steps: 'two': input should be a valid integer"),
        (("--loudness", "nan"), "argument --loudness: 'nan': input should be a finite number"),
        (("--likeness", "3"), "should be 'auto', or input should be less than or equal to 1"),
        (("--device", "tpu"), "argument --device: 'tpu': input should be 'auto' or 'cpu'"),
        (("--name", ""), "argument --name: '': string should have at least 1 character"),
        (("--colour", "red"), "unrecognized arguments: --colour red"),
    ],
)
def test_wrong_values_are_usage_errors(
    wrong: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        read(*wrong)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_the_environment_gives_what_is_ambient_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("STEPS", "steps", "DEFAULT_STEPS", "NAME"):
        monkeypatch.setenv(variable, "9")
    monkeypatch.setenv("TOY_SECRET", "hush")
    monkeypatch.setenv("TOY_ROOMS", "kitchen, cellar")
    toy = read()
    assert (toy.steps, toy.name) == (3, "bear")
    assert (toy.secret, toy.rooms) == ("hush", ["kitchen", "cellar"])
    assert read("--secret=other").secret == "other"
    with pytest.raises(SystemExit):
        read("--help")
    shown = capsys.readouterr().out
    assert "hush" not in shown
    assert "[environment: TOY_SECRET]" in shown


def test_help_names_default_and_description(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser().named(["--help"])
    assert stopped.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--steps int Steps it walks. (default: 3)" in shown
    assert "--wound, --no-wound Wound up. (default: True)" in shown
    assert "--device {auto,cpu} Where. (default: auto)" in shown


def test_options_that_depend_on_others_are_added_when_they_are_parsed() -> None:
    class More(Options):
        """More of it."""

        tail: Annotated[int, Field(default=1, description="Tails.")]

    made = parser()
    made.later.append(lambda given: options.add(made, More, "more") if "in.txt" in given else None)
    given = made.named(["in.txt", "--tail", "2"])
    assert given["more"] == More.model_validate({"tail": 2})
    assert given["options"] == Toy.model_validate({})


def test_a_cosine_or_auto() -> None:
    kind: TypeAdapter[float | str] = TypeAdapter(shared.CosineOrAuto)
    assert kind.validate_python("auto") == "auto"
    assert kind.validate_python("0.7") == 0.7
    for wrong in ("7", "car"):
        with pytest.raises(ValidationError):
            kind.validate_python(wrong)
