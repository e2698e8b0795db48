"""Clustering and deciding, on vectors whose truth is known: voices are directions, noise around."""

from itertools import pairwise

import numpy as np
import pytest

from vc_speech.diarization import decide, people
from vc_speech.diarization.pieces import Pieces
from vc_speech.overlap import STEP
from vc_speech.speakers import Vector

DIM = 192
LONG = 2.0  # seconds
USUAL, VOICE = 0.6, 0.65


def unit(vectors: Vector) -> Vector:
    out: Vector = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return out.astype(np.float32)


def voices(chance: np.random.Generator, count: int, alike: float) -> Vector:
    """Unit vectors of people, each pair of whom has a cosine of about ``alike``."""
    shared, own = chance.normal(size=DIM), chance.normal(size=(count, DIM))
    return unit(np.sqrt(alike) * unit(shared) + np.sqrt(1 - alike) * unit(own))


def talk(
    chance: np.random.Generator,
    people_: Vector,
    who: list[int],
    seconds: list[float],
    likeness: float = 0.65,
    switched: list[float] | None = None,
) -> Pieces:
    """Pieces of these people, two long ones of whom are ``likeness`` alike; short ones less."""
    power = np.maximum((1 / likeness - 1) * LONG / np.array(seconds), 0.1)
    noise = unit(chance.normal(size=(len(who), DIM))) * np.sqrt(power)[:, None]
    frames = np.round(np.array(seconds) / STEP).astype(int)
    ends = np.cumsum(frames + 20)
    changed = [np.nan] + [float(a != b) for a, b in pairwise(who)]
    return Pieces(
        np.stack([ends - frames, ends], axis=1),
        unit(people_[who] + noise),
        np.array(changed if switched is None else switched, np.float32),
    )


def turns(chance: np.random.Generator, count: int, length: int) -> list[int]:
    """Who speaks: several pieces a turn."""
    return [int(x) for x in np.repeat(chance.permutation(np.arange(length) % count), 3)]


def clustered(pieces: Pieces) -> people.Clusters:
    return people.cluster(pieces.vectors, pieces.seconds, pieces.switched, USUAL, VOICE)


def decided(pieces: Pieces) -> decide.Decision:
    found = clustered(pieces)
    return decide.decide(pieces, found.labels, max(found.between, VOICE))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("likeness", [0.5, 0.65, 0.8])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_each_person_is_one_cluster_however_noisy_the_recording(
    seed: int, likeness: float, count: int
) -> None:
    chance = np.random.default_rng(seed)
    who = turns(chance, count, 24)
    pieces = talk(chance, voices(chance, count, 0.4), who, [LONG] * len(who), likeness)
    found = clustered(pieces)
    assert found.likeness == pytest.approx(likeness, abs=0.08)
    together = {(a, b) for a, b in zip(who, found.labels.tolist(), strict=True) if b >= 0}
    assert len(together) == count


@pytest.mark.parametrize("seed", range(5))
def test_voices_more_alike_than_usual_stay_apart(seed: int) -> None:
    chance = np.random.default_rng(seed)
    who = turns(chance, 2, 16)
    pieces = talk(chance, voices(chance, 2, 0.7), who, [LONG] * len(who), 0.75)
    found = clustered(pieces)
    assert len(set(found.labels.tolist()) - {-1}) == 2
    assert found.between == pytest.approx(0.7, abs=0.12)


def test_two_clusters_of_one_person_become_one_again() -> None:
    chance = np.random.default_rng(0)
    ada, bob = voices(chance, 2, 0.5)
    pieces = talk(chance, np.stack([ada, bob]), [0] * 12 + [1] * 6, [LONG] * 18)
    labels = np.array([0] * 6 + [1] * 6 + [2] * 6)
    joined = people.joined(pieces.vectors, labels, 0.8)
    assert len(set(joined[:12].tolist())) == 1
    assert joined[12] != joined[0]


def test_the_likeness_of_voices_does_not_depend_on_how_many_pieces_tell_it() -> None:
    chance = np.random.default_rng(1)
    pair = voices(chance, 2, 0.6)
    expected = float(pair[0] @ pair[1])
    for count in (4, 100):
        pieces = talk(chance, pair, [0] * count + [1] * count, [LONG] * 2 * count, 0.5)
        labels = np.repeat([0, 1], count)
        told = people.voice_likeness(pieces.vectors, labels, np.array([0, 1]))[0, 1]
        assert told == pytest.approx(expected, abs=0.15)


def test_a_piece_that_is_like_nobody_forms_no_person() -> None:
    chance = np.random.default_rng(2)
    who = [0] * 10 + [1] + [0] * 10
    found = clustered(talk(chance, voices(chance, 2, 0.1), who, [LONG] * 21))
    assert found.labels[10] == -1
    assert len(set(found.labels.tolist()) - {-1}) == 1


def test_thousands_of_pieces_are_clustered_by_an_even_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = np.random.default_rng(3)
    monkeypatch.setattr(people, "MOST", 60)
    who = turns(chance, 2, 100)
    pieces = talk(chance, voices(chance, 2, 0.4), who, [LONG] * len(who))
    found = clustered(pieces)
    chosen = np.flatnonzero(found.labels >= 0)
    assert len(chosen) <= 60
    assert chosen.max() - chosen.min() > 0.9 * len(who)
    target = decide.decide(pieces, found.labels, max(found.between, VOICE)).odds[:, 0] > 0
    mine = target == target[0]
    assert np.array_equal(mine, np.array(who) == who[0])


@pytest.mark.parametrize("seed", range(5))
def test_every_piece_long_or_short_goes_to_who_said_it(seed: int) -> None:
    chance = np.random.default_rng(seed)
    who = turns(chance, 3, 30)
    seconds = chance.uniform(0.6, 2.5, len(who)).tolist()
    pieces = talk(chance, voices(chance, 3, 0.45), who, seconds)
    odds = decided(pieces).odds
    right = odds.argmax(axis=1)
    pairs = {(a, int(b)) for a, b in zip(who, right, strict=True)}
    assert len(pairs) == 3


def test_too_short_a_piece_goes_with_its_neighbours_unless_the_voice_changed() -> None:
    chance = np.random.default_rng(4)
    who = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    seconds = [LONG, LONG, 0.2, LONG, LONG, LONG, LONG, 0.2, LONG, LONG]
    pair = voices(chance, 2, 0.4)
    stay = [np.nan, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    odds = decided(talk(chance, pair, who, seconds, switched=stay)).odds
    mine = 0 if odds[0, 0] > 0 else 1
    assert odds[2, mine] > 2
    # A reaction of somebody else: the voice changed before and after it.
    reaction = [np.nan, 0, 1, 1, 0, 1, 0, 0, 0, 0]
    odds = decided(talk(chance, pair, who, seconds, switched=reaction)).odds
    assert odds[2, mine] < 2


def test_a_stranger_to_all_is_not_given_to_the_nearest() -> None:
    chance = np.random.default_rng(5)
    who = [0] * 9 + [2] + [1] * 9
    odds = decided(talk(chance, voices(chance, 3, 0.3), who, [LONG] * 19)).odds
    assert (odds[9] < 0).all()


def test_a_long_piece_like_two_voices_is_looked_at_in_halves() -> None:
    chance = np.random.default_rng(10)
    pair = voices(chance, 2, 0.4)
    pieces = talk(chance, pair, [0] * 8 + [1] * 8, [LONG] * 16)
    pieces.vectors[5] = unit(pieces.vectors[4] + pieces.vectors[12])
    doubtful = decide.doubtful(pieces, decided(pieces))
    assert np.flatnonzero(doubtful).tolist() == [5]


def test_noise_is_measured_on_the_recording() -> None:
    chance = np.random.default_rng(6)
    seconds = chance.uniform(0.5, 3, 400)
    true = decide.Noise(0.2, 0.5)
    fitted = decide.fit_noise(
        true.likeness(seconds) + chance.normal(0, 0.03, 400), np.ones(400), seconds
    )
    assert fitted.fixed == pytest.approx(0.2, abs=0.08)
    assert fitted.fading == pytest.approx(0.5, abs=0.12)
    assert true.weight(np.array([3.0])) > true.weight(np.array([0.5]))
