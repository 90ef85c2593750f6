"""Labels that models doubt: photos that lie upside down among upright ones are found, shown, and can be left out."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from orientd_training.config import Source
from orientd_training.data import photoset
from orientd_training.evaluate.labels import doubts
from orientd_training.fit import feed, loop
from PIL import Image
from support import training_runs
from support.training_runs import command

from orientd.errors import ConfigError
from orientd.infer.engine import Engine

UPSIDE_DOWN = ["album-1/06.jpg", "album-2/12.jpg"]

_one_thread, cache, recipe = training_runs.on_one_thread, training_runs.its_cache, training_runs.its_recipe
labelled, wrong_model = training_runs.its_albums, training_runs.its_wrong_model


def test_photos_that_lie_wrong_come_first(labelled, model, wrong_model, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    asked = ["labels", labelled, "--model", model, "--out", out, "--share", 0.25, "--pictures", 3]
    assert command(monkeypatch, *asked) == 0
    assert f"4 photos in {out}/labels.csv" in capsys.readouterr().out
    with (out / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert sorted(row["name"] for row in rows[:2]) == UPSIDE_DOWN
    assert [row["turn"] for row in rows] == ["180", "180", "0", "0"]
    assert float(rows[1]["upright"]) < 0.01 < 0.9 < float(rows[2]["upright"])
    with Image.open(out / "labels-01.jpg") as sheet:
        assert sheet.width < 4 * 184  # three pictures in a row
    assert not (out / "labels-02.jpg").exists()


def test_two_models_have_half_a_say_each(labelled, model, wrong_model):
    photos = photoset.load(labelled)
    found = doubts([Engine(model), Engine(wrong_model)], photos, 1.0)
    assert len(found) == len(photos)
    for its in found:
        assert its.upright == pytest.approx(np.sqrt(np.prod(its.by_model)))


def test_photos_of_another_size_are_seen_at_the_size_of_the_model(tmp_path, model):
    photos = photoset.load(training_runs.albums(tmp_path, size=64))
    assert sorted(its.name for its in doubts([Engine(model)], photos, 0.1)) == UPSIDE_DOWN


def test_photos_left_out_are_never_drawn(recipe, cache, tmp_path):
    photos = photoset.load(cache, "train")
    names = [*photos.names[:10], *photos.names[20:]]
    listed = tmp_path / "leave_out.txt"
    listed.write_text("# by eye\n" + "".join(f"{name}\n" for name in names) + "elsewhere.jpg\n")
    source = Source(cache, split="train", leave_out=listed)
    without = feed.opened(source, "train", 2)
    fed = feed.Feed(replace(recipe, batch=500, train=(source,)), [without])
    pixels, _ = fed.take(0)
    fed.close()
    left = {photos.pixels[i].tobytes() for i in range(10, 20)}
    assert {picture.numpy().tobytes() for picture in pixels} == left
    assert without.digest != photos.digest  # so that a run does not go on with another list
    with pytest.raises(ConfigError, match=r"train: .* holds 10 photos, at least 11"):
        feed.opened(source, "train", 11)


def test_a_recipe_may_name_what_to_leave_out(recipe, cache, tmp_path):
    listed = tmp_path / "leave_out.txt"
    listed.write_text(photoset.load(cache, "train").names[0])
    source = Source(cache, split="train", leave_out=listed)
    its = replace(recipe, train=(source,), validation=Source(cache, split="validation"))
    loop.fit(its, tmp_path / "run")
    listed.write_text("\n".join(photoset.load(cache, "train").names[:2]))
    with pytest.raises(ConfigError, match="begun with other photos"):
        loop.fit(its, tmp_path / "run", resume=True)


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read"), ("elsewhere.jpg", "names 0 of"), ("", "names 0 of")])
def test_a_list_that_names_nothing_is_refused(text, said, cache, tmp_path):
    listed = tmp_path / "leave_out.txt"
    if text is not None:
        listed.write_text(text)
    with pytest.raises(ConfigError, match=rf"leave_out: .*{said}"):
        feed.opened(Source(cache, leave_out=listed), "train", 2)


def test_a_list_that_names_everything_is_refused(cache, tmp_path):
    listed = tmp_path / "leave_out.txt"
    listed.write_text("\n".join(photoset.load(cache).names))
    with pytest.raises(ConfigError, match="names 36 of 36"):
        feed.opened(Source(cache, leave_out=listed), "train", 2)
