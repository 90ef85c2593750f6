"""Messages, help, the page, the documents, docstrings and comments use words that anybody knows, and none of a private list."""

import ast
import io
import re
import tokenize
from pathlib import Path

import click
import pytest

from orientd.cli.main import cli

ROOT = Path(__file__).parents[2]
PRIVATE = (
    "beside",
    "past",
    "crowd",
    "eyes",
    "looks? again",
    "bell",
    "rope",
    "workshop",
    "improved",
    "remarks?",
    "errands?",
    "travel(s|led|ed)?",
    "told",
    "heed(s|ed)?",
    "parted",
    "shown wrong",
    "shown right",
    "put(s|ting)? right",
    "mend(s|ed|ing)?",
    "spoil(s|ed|t)?",
    "as things are",
    "in whatever company",
    "lest",
    "get along with",
    "as much as serves",
    "be had",
    "knows locks",
    "tells of",
    "no end of",
)
FOUND = re.compile(rf"\b({'|'.join(PRIVATE)})\b", re.IGNORECASE)
DOCUMENTS = sorted(
    [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "configs/orientd.yaml")]
    + list((ROOT / "docs").rglob("*.md"))
)
PAGES = sorted((ROOT / "orientd" / "web" / "static").glob("*.[jh][st]*"))
SOURCES = sorted([*(ROOT / "orientd").rglob("*.py"), *(ROOT / "training").rglob("*.py")])
COMMENTED = sorted([*SOURCES, *(ROOT / "benchmarks").rglob("*.py")])


def texts(source):
    """The texts of a module that a person may read: those of several words, but for docstrings and what is only a name."""
    tree = ast.parse(source)
    skipped = {id(node) for node in docstrings(tree)}
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in skipped]
    return [text for text in words if isinstance(text, str) and " " in text]


def docstrings(tree):
    """Strings that stand alone: those of modules, classes and functions, and those below an attribute."""
    alone = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    return [node for node in alone if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def comments(source):
    """(line, text) of each docstring and of each comment, or comments on lines that follow each other, without line breaks."""
    found = [(node.lineno, node.value) for node in docstrings(ast.parse(source))]
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        text = token.string.lstrip("#")
        if token.start[0] == last + 1:
            text = f"{found.pop()[1]} {text}"
        last = token.start[0]
        found.append((last, text))
    return [(line, " ".join(text.split())) for line, text in found]


def helps(command, name="orientd"):
    yield name, command.help or ""
    for below, each in getattr(command, "commands", {}).items():
        yield from helps(each, f"{name} {below}")


def said(text):
    """The private words in a text; code and addresses are none."""
    plain = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL)
    return [match[0] for match in FOUND.finditer(plain)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_has_a_private_word(path):
    assert [text for text in texts(path.read_text("utf-8")) if said(text)] == []


@pytest.mark.parametrize("path", COMMENTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_comment_has_a_private_word(path):
    found = [f"{line}: {said(text)}" for line, text in comments(path.read_text("utf-8")) if said(text)]
    assert not found, found


def test_no_help_has_a_private_word():
    assert isinstance(cli, click.Group)
    assert {name: said(text) for name, text in helps(cli) if said(text)} == {}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_has_no_private_word(path):
    assert FOUND.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_has_a_private_word(path):
    lines = path.read_text("utf-8").splitlines()
    assert [f"{number}: {said(line)}" for number, line in enumerate(lines, 1) if said(line)] == []


def test_private_words_are_found():
    assert texts('"""told"""\nx = "it was told"\ny = f"{told} was mended"\nz = "told"') == ["it was told", " was mended"]
    assert said("Photos *put right* are told; `beside` is code. Besides, a bell-shaped past") == [
        "put right",
        "told",
        "bell",
        "past",
    ]


def test_comments_are_found():
    source = '"""Put\n right."""\nx = "told"  # beside\n# of `told`, mended\n\n# lest\n\ndef f():\n    "Told."\n'
    assert comments(source) == [(1, "Put right."), (9, "Told."), (4, "beside of `told`, mended"), (6, "lest")]
    assert [said(text) for _, text in comments(source)] == [["Put right"], ["Told"], ["beside", "mended"], ["lest"]]


SENTENCE = re.compile(r"(?<=[.!?])[*_]*\s+")


def sentences(text):
    """The sentences of a Markdown text: paragraphs, items of lists and cells of tables, without code and addresses."""
    plain = re.sub(r"```.*?```|<!--.*?-->", "\n\n", text, flags=re.DOTALL)
    plain = re.sub(r"\]\([^)]*\)", "]", plain)
    for part in re.split(r"\n\s*\n|\n(?=\s*- )|\n?\|", plain):
        yield from SENTENCE.split(" ".join(part.split()))


def test_no_sentence_of_the_readme_is_long():
    text = (ROOT / "README.md").read_text("utf-8")
    assert [each for each in sentences(text) if len(each.split()) > 30] == []
    assert len(text.splitlines()) <= 150


def test_a_long_sentence_is_found():
    assert max(len(each.split()) for each in sentences("Short. " + "word " * 31 + "end.\n\n- an item")) == 32
