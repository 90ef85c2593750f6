"""The documents as a site, the generated pages and the man page: never stale, every link and anchor leads somewhere."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def module(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Page(HTMLParser):
    """What a page links to, what it loads, and what in it can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.names = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("script", "img", "link"):
            self.loads.append(given.get("src") or given.get("href") or "")
        self.names |= {given[key] for key in ("id", "name") if given.get(key)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the site by their path."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    return {path: Page(path) for path in folder.rglob("*.html")}


def test_the_generated_pages_are_not_stale():
    assert module("generate").stale() == []


def test_a_stale_page_is_noticed(tmp_path, monkeypatch):
    generate = module("generate")
    shutil.copytree(DOCS, tmp_path / "docs")
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    (tmp_path / "docs" / "cli.md").write_text("another")
    (tmp_path / "docs" / "orientd.1").unlink()
    assert generate.stale() == ["cli.md", "orientd.1"]


def test_every_page_is_built(site):
    names = {path.parent.name for path in site}
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} <= names


def test_every_anchor_leads_somewhere(site):
    broken = []
    for path, page in site.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if ":" in target or not anchor or path.name == "404.html":
                continue
            place = (path.parent / target).resolve() if target else path
            place = place / "index.html" if place.is_dir() else place
            if anchor not in site[place].names and anchor != "__skip":
                broken.append((path.parent.name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site):
    assert {each for page in site.values() for each in page.loads if "//" in each} == set()


def test_links_that_leave_the_documents_become_text():
    rewritten = module("site_links").on_page_markdown
    assert rewritten("[changes](../CHANGELOG.md#x), [a](b.md), [CHANGELOG.md](../CHANGELOG.md), ![p](../p.png)") == (
        "changes (`CHANGELOG.md` in the source), [a](b.md), `CHANGELOG.md`, ![p](../p.png)"
    )


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_can_be_read():
    command = ["groff", "-man", "-ww", "-Tutf8", "-rLL=100n", str(DOCS / "orientd.1")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", shown.stdout)
    warned = [line for line in shown.stderr.splitlines() if "cannot adjust" not in line and "can't break" not in line]
    assert warned == []
    assert all(word in text for word in ("orientd scan", "--min-confidence", "EXIT STATUS", "~/.local/state/orientd"))
