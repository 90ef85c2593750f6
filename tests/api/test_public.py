"""The public names and signatures are those on record: a change of `public.txt` is one for every program that embeds orientd."""

import ast
import dataclasses
import enum
import inspect
import subprocess
import sys
from pathlib import Path

import orientd
from orientd import errors
from orientd.reasons import Reason

RECORD = Path(__file__).with_name("public.txt")
ROOT = Path(__file__).parents[2]
HEAVY = {"numpy", "PIL", "onnxruntime", "torch", "simplejpeg", "pillow_heif", "nvidia", "rich", "yaml", "sqlite3", "watchdog"}


def described(name, value):
    """Lines that say how a public thing is used."""
    if value is Reason:  # its members are held to docs/reasons.md
        yield name
    elif inspect.isclass(value) and issubclass(value, enum.Enum):
        yield f"{name}: {' '.join(member.name for member in value)}"
    elif dataclasses.is_dataclass(value):
        yield f"{name}{inspect.signature(value)}"
    elif inspect.isclass(value):
        yield f"{name}{inspect.signature(value)}"
        for below, member in vars(value).items():
            if inspect.isfunction(member) and not below.startswith("_"):
                yield f"{name}.{below}{inspect.signature(member)}"
    elif callable(value):
        yield f"{name}{inspect.signature(value)}"
    elif isinstance(value, str) and name != "__version__":
        yield f"{name}: {value}"


def tree(kind, depth=0):
    yield f"{'    ' * depth}{kind.__name__}"
    for below in kind.__subclasses__():
        if below.__module__ == "orientd.errors":
            yield from tree(below, depth + 1)


def public():
    lines = [line for name in sorted(orientd.__all__) for line in described(name, getattr(orientd, name))]
    return "\n".join([*lines, *tree(errors.OrientdError), *tree(errors.PhotoError)]) + "\n"


def test_what_is_public_is_on_record():
    assert public() == RECORD.read_text(encoding="utf-8"), "see docs/api.md, Versions"


def test_types_tell_the_same_names():
    stub = ast.parse((ROOT / "orientd" / "__init__.pyi").read_text())
    names = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names | {"__version__"} == set(orientd.__all__) == set(dir(orientd))
    assert (ROOT / "orientd" / "py.typed").is_file()


def loaded(code):
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in ran.stdout.split()}


def test_importing_loads_nothing_heavy():
    names = ", ".join(name for name in orientd.__all__ if not name.startswith("_"))
    for code in ("import orientd; dir(orientd)", f"from orientd import {names}"):
        assert "orientd" in loaded(code)
        assert loaded(code) & HEAVY == set()
    assert "click" not in loaded("import orientd")


def test_what_is_not_there_is_told():
    assert not hasattr(orientd, "nothing")
    assert not hasattr(orientd, "app_")


if __name__ == "__main__":
    RECORD.write_text(public(), encoding="utf-8")
