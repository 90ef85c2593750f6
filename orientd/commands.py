"""Commands that orientd prints, for people to run: they work as printed, in the shell in which this one was typed.

They name the program as it was called, and repeat the options of this run that they take, too: else they would go by another
journal, or other rules. Whoever reads the command line tells both (`called_as`); without one it is a bare `orientd`.
"""

import re
import shlex
from collections.abc import Callable, Sequence

Options = Callable[[Sequence[str]], Sequence[str]]


def _none(_: Sequence[str]) -> Sequence[str]:
    return ()


_program: Sequence[str] = ("orientd",)
_options: Options = _none


def called_as(program: Sequence[str] = ("orientd",), options: Options = _none) -> None:
    """Note how this process was called; `options` gives those to repeat after the words of a command."""
    global _program, _options
    _program, _options = tuple(program), options


def line(*words: object) -> str:
    """A command of orientd such as ("undo", 3), quoted for a shell. What only a person can fill in follows, unquoted."""
    texts = [str(word) for word in words]
    return " ".join(quoted(text) for text in (*_program, *texts, *_options(texts)))


def quoted(word: str) -> str:
    """A word for a shell; with what cannot be shown as escapes, which bash, zsh and ksh understand."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_escaped(char) for char in word) + "'"


def path(text: str) -> str:
    """A path as an argument: not to be taken for an option."""
    return f"./{text}" if text.startswith("-") else text


def _escaped(char: str) -> str:
    if char.isprintable():
        return re.sub(r"(['\\])", r"\\\1", char)
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))
