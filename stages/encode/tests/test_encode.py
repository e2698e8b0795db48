"""vc-encode: a dataset's clips in, their codes and whose codes they are out."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import soundfile
from pyarrow import parquet

from vc_core import files
from vc_csm import codes, csm, mimi
from vc_encode.cli import main

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
RATE = 24_000
FRAME = 1920  # samples


def tone(seconds: float, hertz: float, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    glide = np.sin(2 * np.pi * hertz * time * (1 + 0.2 * np.sin(3 * time)))
    return (0.3 * glide * (0.6 + 0.4 * np.sin(9 * time))).astype(np.float32)


def flac(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def write_dataset(folder: Path, splits: dict[str, list[tuple[str, str, bytes]]]) -> Path:
    (folder / "data").mkdir(parents=True)
    for split, clips in splits.items():
        rows = [
            {"audio": {"bytes": sound, "path": f"{clip}.flac"}, "text": text, "clip": clip}
            for clip, text, sound in clips
        ]
        place = folder / "data" / f"{split}-00000-of-00001.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(rows), place)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(
        tmp_path_factory.mktemp("dataset") / "ada",
        {
            "train": [
                ("a", "One.", flac(tone(1.3, 200))),
                ("b", "Zwei, drei.", flac(tone(2.0, 150, 48_000), 48_000)),
                ("broken", "Not heard.", b"no audio at all"),
            ],
            "validation": [("c", "Four.", flac(tone(1.0, 300)))],
        },
    )


def test_codes_of_every_readable_clip(dataset, tmp_path):
    output = tmp_path / "codes.parquet"

    assert main([str(dataset), "--base-model", str(MICRO), "-o", str(output)]) == 0

    clips, codec = codes.read(output)
    assert [(clip.clip, clip.split, clip.text) for clip in clips] == [
        ("a", "train", "One."),
        ("b", "train", "Zwei, drei."),
        ("c", "validation", "Four."),
    ]
    # One frame for every begun 80 ms.
    assert [len(clip.codes) for clip in clips] == [17, 25, 13]
    for clip in clips:
        assert clip.codes.shape[1] == codec.codebooks
        assert clip.codes.min() >= 0
        assert clip.codes.max() < codec.codebook_size
    assert (codec.frame_rate, codec.sample_rate) == (12.5, RATE)
    figures = files.read_json(tmp_path / "codes.parquet.run.json")["figures"]
    assert figures["left_out"] == 1
    assert figures["clips"] == {"train": 2, "validation": 1, "test": 0}


def test_codes_are_those_of_the_codec_alone(dataset, tmp_path):
    output = tmp_path / "codes.parquet"
    main([str(dataset), "--base-model", str(MICRO), "-o", str(output)])
    clips, codec = codes.read(output)

    whole = csm.load(str(MICRO), "cpu").model.codec_model
    assert codec.fingerprint == mimi.fingerprint(whole)
    heard, _ = soundfile.read(io.BytesIO(flac(tone(1.3, 200))), dtype="float32")
    np.testing.assert_array_equal(clips[0].codes, mimi.encode(whole, heard))


def test_decoding_gives_the_length_back():
    codec = mimi.load(str(MICRO), "cpu")
    numbers = mimi.encode(codec, tone(1.3, 200))
    assert len(mimi.decode(codec, numbers)) == 17 * FRAME
    assert len(mimi.decode(codec, numbers[:0])) == 0


def test_rounding_to_bfloat16_keeps_the_fingerprint():
    import torch

    codec = mimi.load(str(MICRO), "cpu")
    before = mimi.fingerprint(codec)
    assert mimi.fingerprint(codec.to(torch.bfloat16)) == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere", "--base-model", str(MICRO)], "nowhere: no such file or folder"),
        (["{empty}", "--base-model", str(MICRO)], "no data/train-*.parquet"),
        (["{dataset}", "--base-model", "./no-model"], "'./no-model': no such folder"),
        (["{dataset}", "--base-model", "{empty}"], "has no config.json"),
        (["{silent}", "--base-model", str(MICRO)], "none of its 1 clips could be read"),
    ],
)
def test_unusable_input_is_one_line_and_no_file(arguments, complaint, dataset, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    silent = write_dataset(tmp_path / "silent", {"train": [("a", "x", b"")]})
    places = {"empty": tmp_path / "empty", "dataset": dataset, "silent": silent}
    output = tmp_path / "out" / "codes.parquet"

    given = [argument.format(**places) for argument in arguments]
    assert main([*given, "-o", str(output)]) == 3

    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert complaint in errors[0]
    assert not output.exists()
    assert not list(tmp_path.glob("out/.partial*"))


def test_help_needs_no_engine():
    code = "import sys, vc_encode.cli as c; c.build_parser(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
