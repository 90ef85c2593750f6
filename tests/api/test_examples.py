"""The examples of docs/api.md do what they say."""

import doctest
from pathlib import Path

import pytest
from support import sky_library

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.usefixtures("sure")
def test_the_examples_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sky_library.draw(tmp_path / "photo.jpg", 90, by_tag=False)
    for name, turn in (("a", 180), ("b", 0)):
        sky_library.draw(tmp_path / "photos" / f"{name}.jpg", turn)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    test = doctest.DocTestParser().get_doctest(PAGE.read_text(encoding="utf-8"), {}, "api.md", str(PAGE), 0)
    assert len(test.examples) > 15
    ran = doctest.DocTestRunner()
    ran.run(test)
    assert ran.summarize().failed == 0
