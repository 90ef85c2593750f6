"""`Detector`: the answers are those of `orientd inspect`, whatever a photo is handed over as."""

import itertools
import json
import threading

import numpy as np
import pytest
from PIL import Image, ImageOps
from support import raw_files, sky_library

import orientd
from orientd import Detector, Judgment, Verdict, errors
from orientd.reasons import Reason


@pytest.fixture(scope="module")
def detector(model):
    return Detector(str(model), workers=2)


@pytest.fixture
def inspected(orientd, capsys):
    def ask(path, *more):
        capsys.readouterr()
        assert orientd("inspect", path, "--json", *more) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def same(answer, said):
    return (answer.turn, answer.confidence, list(answer.probabilities), answer.decision, answer.reason or None) == tuple(
        said[key] for key in ("turn", "confidence", "probabilities", "decision", "reason")
    )


@pytest.mark.parametrize("by_tag", [True, False])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_answers_are_those_of_inspect(detector, inspected, photos, turn, by_tag):
    path = sky_library.draw(photos / "a.jpg", turn, by_tag=by_tag)
    answer = detector.predict(path)
    assert (answer.turn, answer.decision) == (turn, Verdict.FIX if turn else Verdict.KEEP)
    assert same(answer, inspected(path))
    assert answer == detector.predict(str(path)) == detector.predict(path.read_bytes())
    with Image.open(path) as image:
        assert detector.predict(image).turn == turn
        assert detector.predict(np.asarray(ImageOps.exif_transpose(image))) == detector.predict(image)


def test_so_are_those_of_the_bundled_model_with_its_witnesses(inspected, photos, monkeypatch):
    monkeypatch.delenv("ORIENTD_MODEL", raising=False)
    path = sky_library.draw(photos / "a.jpg", 180, by_tag=False)
    answer, said = Detector().predict(path), inspected(path, "--model", "orientd")
    assert same(answer, said)
    assert [one.witness for one in answer.evidence] == [one["name"] for one in said["witnesses"] if one["asked"]]
    assert answer.evidence


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_pillow_images_are_judged_as_they_are_shown(detector, photos, kind):
    path = sky_library.draw(photos / f"a.{kind.lower()}", 90, kind=kind)
    with Image.open(path) as image:
        assert detector.predict(image).turn == detector.predict(path).turn == 90


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_pillow_images_of_any_mode(detector, mode):
    gray = sky_library.landscape().convert("L").rotate(180)
    image = Image.fromarray(np.asarray(gray).astype(np.uint16) * 256) if mode == "I;16" else gray.convert(mode)
    assert detector.predict(image).turn == 180


def test_arrays(detector):
    pixels = np.asarray(sky_library.landscape().rotate(180))
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    for array in (pixels, pixels[..., 0], pixels[..., :1], opaque, pixels[::-1, ::-1][::-1, ::-1]):
        assert detector.predict(array).turn == 180
    for wrong in (pixels.astype(float), pixels[0, 0], pixels[..., :2], pixels[:0]):
        with pytest.raises(ValueError, match="an array of uint8"):
            detector.predict(wrong)
    for wrong in (None, 3, [1, 2]):
        with pytest.raises(TypeError, match="a path, bytes"):
            detector.predict(wrong)


def test_what_cannot_be_judged_is_told(detector, photos, tmp_path):
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"no photo")
    (photos / "notes").write_bytes(b"no photo")
    (photos / "b.dng").write_bytes(raw_files.MAKERS["dng"](raw_files.preview(90, 0), 1))
    whole = sky_library.draw(photos / "c.jpg").read_bytes()
    for source, kind, code in (
        (photos / "a.jpg", errors.DecodeError, Reason.UNKNOWN_CONTENT),
        (b"no photo", errors.DecodeError, Reason.UNKNOWN_CONTENT),
        (b"", errors.DecodeError, Reason.UNKNOWN_CONTENT),
        (whole[:900], errors.DecodeError, Reason.DAMAGED),
        (photos / "gone.jpg", errors.ReadError, Reason.VANISHED),
        ("a\0b", errors.ReadError, Reason.VANISHED),
        (photos, errors.ReadError, Reason.NOT_A_PHOTO),
        (photos / "notes", errors.ReadError, Reason.NOT_A_PHOTO),
        (photos / "b.dng", errors.Refused, Reason.RAW_FILE),
    ):
        with pytest.raises(kind) as caught:
            detector.predict(source)
        assert caught.value.code is code, source


def test_many_come_in_order_and_one_bad_photo_ends_nothing(detector, photos):
    needs = sky_library.library(photos, 12)
    sources = [*needs, photos / "gone.jpg", *needs]
    answers = list(detector.predict_many(sources))
    assert [answer.turn for answer in answers if isinstance(answer, Judgment)] == [*needs.values()] * 2
    assert isinstance(answers[12], errors.ReadError)
    assert list(detector.predict_many([])) == []


def test_many_may_be_endless(detector, photos):
    taken = []
    source = sky_library.draw(photos / "a.jpg", 90).read_bytes()
    answers = detector.predict_many(taken.append(number) or source for number in itertools.count())
    assert [next(answers).turn for _ in range(3)] == [90] * 3
    answers.close()
    assert len(taken) <= 3 + 2 * 2
    with pytest.raises(TypeError):
        next(detector.predict_many([3]))


def test_several_threads_may_share_one(detector, photos):
    needs, found = sky_library.library(photos, 8), {}

    def work(path):
        found[path] = detector.predict(path).turn

    threads = [threading.Thread(target=work, args=(path,)) for path in needs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == needs


def test_wrong_arguments_and_what_configures_the_command(model, tmp_path, monkeypatch):
    monkeypatch.setenv("ORIENTD_MODEL", "nowhere")
    monkeypatch.setenv("ORIENTD_NONSENSE", "1")
    (tmp_path / "orientd").mkdir()
    (tmp_path / "orientd" / "orientd.yaml").write_text("nonsense: 1\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert Detector(str(model), isolate=False).predict(sky_library.landscape()).turn == 0
    with pytest.raises(errors.ConfigError, match=r"^provider: must be one of"):
        Detector(provider="magic")
    with pytest.raises(errors.ModelError, match="no model 'nowhere'"):
        Detector("nowhere")


def test_an_uncalibrated_model_is_logged(tmp_path, caplog):
    from support.onnx_graphs import sky_finder

    from orientd.infer.spec import ModelSpec

    Detector(str(sky_finder(tmp_path / "vague.onnx", spec=ModelSpec("vague", 32))))
    assert "is not calibrated" in caplog.text
    assert orientd.Detector is Detector
