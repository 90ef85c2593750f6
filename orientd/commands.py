"""Commands that orientd prints, for people to run: they work as printed, in the shell in which this one was typed.

They name the program as it was called, and repeat the options of this run that they take, too: else they would go by another
journal, or other rules. Whoever reads the command line tells both (`called_as`); without one it is a bare `orientd`.
"""

import os
import re
import shlex
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

Options = Callable[[Sequence[str]], Sequence[str]]
_INSTEAD: Final = 'install orientd with the extra "gpu" in place of "cpu", in an environment of its own: see docs/gpu.md'
_IN_IMAGE: Final = 'build the image again with "{}" among its EXTRAS: see containers/Containerfile'
_GLOBAL_PIPX: Final = "/opt/pipx/"


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


def adding(extra: str) -> str:
    """What to do to have an extra in this installation, such as "run pipx inject orientd 'httpx>=0.27'".

    The command names the packages of the extra and never orientd itself, which an index may have from somebody else: PyPI does,
    and `pipx inject orientd "orientd[web]"` or `uv tool install --force "orientd[web]"` can put that in the place of this one.
    """
    if extra == "gpu" and _is_installed("onnxruntime"):
        return _INSTEAD
    installer = _installer()
    return " ".join(["run", *installer, *map(quoted, _packages(extra))]) if installer else _IN_IMAGE.format(extra)


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


def _installer() -> list[str]:
    """The words that install packages into this environment; none in an image, from which pip was removed.

    pipx and uv mark what they make: https://pipx.pypa.io, https://docs.astral.sh/uv/concepts/tools. A Python of the system may
    refuse: https://packaging.python.org/specifications/externally-managed-environments.
    """
    prefix, is_own = sys.prefix, sys.prefix != sys.base_prefix
    rights = ["sudo"] if is_own and os.geteuid() and not os.access(prefix, os.W_OK) else []
    if os.path.exists(os.path.join(prefix, "pipx_metadata.json")):
        everyone = ["--global"] if prefix.startswith(_GLOBAL_PIPX) else []
        return [*rights, "pipx", "inject", *everyone, quoted(os.path.basename(prefix))]
    if is_own and not find_spec("pip"):
        return [*rights, "uv", "pip", "install", "--python", quoted(prefix)] if _is_by_uv(prefix) else []
    is_managed = not is_own and os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    return [*rights, quoted(sys.executable), "-m", "pip", "install", *(["--break-system-packages"] if is_managed else [])]


def _is_by_uv(prefix: str) -> bool:
    try:
        return bool(re.search(r"^uv = ", Path(prefix, "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE))
    except OSError:
        return False


def _packages(extra: str) -> list[str]:
    """What an extra needs, as its wheel says; the source with that extra, where it runs from there."""
    from importlib import metadata  # takes longer than most commands need to begin

    try:
        needed = metadata.requires("orientd") or []
    except metadata.PackageNotFoundError:
        needed = []
    split = [one.partition(";") for one in needed]
    wanted = [name.strip() for name, _, marker in split if re.search(rf"""extra == ['"]{extra}['"]""", marker)]
    return wanted or [f"{Path(__file__).parents[1]}[{extra}]"]


def _is_installed(distribution: str) -> bool:
    from importlib import metadata

    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False
