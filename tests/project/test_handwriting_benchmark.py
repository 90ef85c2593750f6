"""How a handwritten page lies is read off its editors' baselines: the middle one of the long ones, each weighed by its length."""

import io
import math
import subprocess

import pytest
from support.drawn_pages import page

from benchmarks.pages import handwriting

ALTO = '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Layout><Page WIDTH="1000" HEIGHT="1400">{}</Page></Layout></alto>'


@pytest.fixture
def mirrors(tmp_path):
    """A mirror whose pages have such baselines: (slope in degrees, length in pixels)."""

    def made(**pages):
        folder = tmp_path / "work"
        bare = tmp_path / handwriting.REPOSITORY / "repo"
        folder.mkdir()
        for name, lines in pages.items():
            (folder / f"{name}.xml").write_text(ALTO.format("".join(line(*of) for of in lines)))
            page(lines=12).convert("RGB").save(picture := io.BytesIO(), "JPEG")
            (folder / f"{name}.jpeg").write_bytes(picture.getvalue())
        (folder / "alone.jpg").write_bytes(b"no baselines, never read")
        git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@example.org"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "pages"]):
            subprocess.run([*git, *words], check=True)
        subprocess.run(["git", "clone", "-q", "--bare", str(folder), str(bare)], check=True)
        return tmp_path

    return made


def line(slope, length):
    end = 100 + length * math.cos(math.radians(slope)), 300 + length * math.sin(math.radians(slope))
    return f'<TextLine BASELINE="100 300 150 390 {end[0]} {end[1]}"/>'


def test_a_page_lies_as_the_middle_of_its_long_lines(mirrors):
    (found,) = handwriting.written(mirrors(page=[(2, 400), (2.5, 500), (-1, 350), (30, 200)]))
    assert (found.path, found.needs, found.spread) == ("page.jpeg", pytest.approx(-2), pytest.approx(3.5))


def test_one_long_line_outweighs_short_ones(mirrors):
    (found,) = handwriting.written(mirrors(page=[(1, 310), (1.2, 320), (3, 900)]))
    assert found.needs == pytest.approx(-3)


def test_a_page_of_few_long_lines_is_left_out(mirrors):
    assert [found.path for found in handwriting.written(mirrors(few=[(1, 500)] * 2 + [(1, 100)] * 9, some=[(1, 500)] * 3))] == [
        "some.jpeg"
    ]


def test_the_table_counts_what_was_said(mirrors, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["handwriting", "--mirrors", str(mirrors(level=[(0, 500)] * 3, falling=[(1.5, 500)] * 3))])
    handwriting.main()
    assert capsys.readouterr().out.splitlines()[-1].split(" | ")[:6] == ["| 2", "2", "0", "1", "1", "2"]
