"""Imports run one way, a third-party library has one owner, files and functions stay small, and the other rules of the house."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = {
    "vocabulary": {"", "errors", "items", "orientation", "spec", "names"},
    "pure logic": {"decide", "settle", "formats", "judge", "change", "share", "remarks"},
    "edges": {"config", "discover", "read", "decode", "infer", "rotate", "files", "record", "seen", "report", "plan", "progress"}
    | {"originals", "disk", "entries", "sidecars", "inotify", "mounts", "pacing", "metrics", "proposals", "ahead", "cuda"}
    | {"claims", "attributes", "memory", "guard", "children", "child", "in_hand", "death_notice"},
    "pipeline": {"pipeline"},
    "composed": {"act", "watch", "roots", "catalogue", "beside", "past", "source"},
    "app": {"app", "writer", "work", "gpu", "cards", "tensorrt", "deaths", "trial"},
    "surface": {"cli", "cli_watch", "flags", "daemon", "service", "units", "session", "show", "doctor", "__main__"},
}
RANK = {name: rank for rank, names in enumerate(LAYERS.values()) for name in names}
OWNERS = {
    "numpy": set(RANK),
    "onnxruntime": {"infer"},
    "nvidia": {"decode"},
    "simplejpeg": {"decode"},
    "pillow_heif": {"decode"},
    "PIL": {"decode"},
    "yaml": {"config"},
    "rich": {"report", "progress", "session", "show"},
    "click": {"cli", "cli_watch", "flags"},
    "watchdog": {"inotify"},
    "sqlite3": {"record", "seen"},
}
EXTRAS = {"onnxruntime", "nvidia"}
TRAINING_OWNERS = {"yaml": {"config"}, "click": {"cli"}, "PIL": {"pages", "sheets"}, "matplotlib": {"plots"}}
TRAINING_MAY_USE = LAYERS["vocabulary"] | {"decide", "infer", "decode", "discover", "config", "formats"}
HEAVY = {"numpy", "PIL", "onnxruntime", "torch", "simplejpeg", "pillow_heif", "nvidia", "rich", "yaml", "sqlite3", "watchdog"}
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 80


def sources(*folders: str) -> dict[str, str]:
    """Dotted module name → source of every module of the packages in `folders`."""
    found = {}
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to((ROOT / folder).parent).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = file.read_text(encoding="utf-8")
    return found


def imports(module: str, source: str, known: Mapping[str, str]) -> Iterator[str]:
    """Dotted names of what a module imports anywhere in it; `from a import b` is a.b if that is a module, else a."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if any(name.startswith(module + ".") for name in known) else module.split(".")[:-1]
            above = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            base = ".".join(filter(None, [above, node.module]))
            yield from (f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names)


def part(module: str) -> str:
    """`formats` of orientd.formats.jpeg; "" of the package itself."""
    return (module + ".").split(".")[1]


def wrong_arrows(known: Mapping[str, str]) -> list[str]:
    """Every import that breaks a rule, and every module that no layer knows."""
    found, graph = [], {}
    for module, source in known.items():
        targets = set(imports(module, source, known)) - {module}
        graph[module] = {target for target in targets if target in known}
        judge = _wrong_in_training if module.split(".")[0] == "orientd_training" else _wrong_in_orientd
        found += [f"{module} → {target}: {reason}" for target in sorted(targets) if (reason := judge(module, target))]
        if module.split(".")[0] == "orientd" and part(module) not in RANK:
            found.append(f"{module}: has no layer")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"cycle: {' → '.join(error.args[1])}")
    return found


def _wrong_in_orientd(module: str, target: str) -> str:
    library = target.split(".")[0]
    if library == "orientd_training":
        return "orientd never imports training"
    if library == "orientd":
        if part(module) == "pipeline" and part(target) not in LAYERS["vocabulary"]:
            return "the pipeline knows only the vocabulary"
        runs_up = RANK.get(part(target), 0) > RANK.get(part(module), len(RANK))
        return "runs the wrong way" if runs_up else ""
    if library in OWNERS:
        return "" if part(module) in OWNERS[library] else f"{library} belongs to {', '.join(sorted(OWNERS[library]))}"
    return "" if library in sys.stdlib_module_names else f"{library} has no owner"


def _wrong_in_training(module: str, target: str) -> str:
    library = target.split(".")[0]
    if library == "orientd":
        return "" if part(target) in TRAINING_MAY_USE else "training uses only what judges"
    return "" if part(module) in TRAINING_OWNERS.get(library, {part(module)}) else f"{library} has another owner"


def test_no_arrow_runs_the_wrong_way():
    known = sources("orientd", "training/orientd_training")
    assert {"orientd", "orientd.errors", "orientd.formats.jpeg", "orientd_training.fit.loop"} <= set(known)
    assert wrong_arrows(known) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        (
            "orientd.judge.policy",
            "from orientd import record",
            "orientd.judge.policy → orientd.state.journal: runs the wrong way",
        ),
        ("orientd.judge.policy", "from . import record", "orientd.judge.policy → orientd.state.journal: runs the wrong way"),
        (
            "orientd.judge.policy",
            "import orientd.state.journal as r",
            "orientd.judge.policy → orientd.state.journal: runs the wrong way",
        ),
        (
            "orientd.judge.policy",
            "def f():\n    from orientd.state.journal import Journal",
            "orientd.judge.policy → orientd.state.journal: runs the wrong way",
        ),
        ("orientd.formats", "from ..record import Journal", "orientd.formats → orientd.state.journal: runs the wrong way"),
        (
            "orientd.formats.png",
            "from ..record import Journal",
            "orientd.formats.png → orientd.state.journal: runs the wrong way",
        ),
        ("orientd.records", "from orientd.formats import jpeg", "orientd.records → orientd.formats.jpeg: runs the wrong way"),
        ("orientd.write.transaction", "from orientd import app", "orientd.write.transaction → orientd.app: runs the wrong way"),
        ("orientd.app", "from orientd.cli.main import main", "orientd.app → orientd.cli.main: runs the wrong way"),
        (
            "orientd.pipeline.run",
            "import orientd.judge.policy",
            "orientd.pipeline.run → orientd.judge.policy: the pipeline knows only the vocabulary",
        ),
        (
            "orientd.library.photo",
            "import orientd_training.fit.loop",
            "orientd.library.photo → orientd_training.fit.loop: orientd never imports training",
        ),
        ("orientd.library.photo", "from PIL import Image", "orientd.library.photo → PIL: PIL belongs to decode"),
        ("orientd.files.write", "import sqlite3", "orientd.files.write → sqlite3: sqlite3 belongs to record, seen"),
        ("orientd.library.photo", "import torch", "orientd.library.photo → torch: torch has no owner"),
        ("orientd.misc", "import os", "orientd.misc: has no layer"),
        ("orientd.report.csv_file", "from orientd import plan", "cycle: "),
        ("orientd_training.fit.loop", "import yaml", "orientd_training.fit.loop → yaml: yaml has another owner"),
        (
            "orientd_training.fit.loop",
            "from orientd import act",
            "orientd_training.fit.loop → orientd.write.transaction: training uses only what judges",
        ),
    ],
)
def test_the_check_sees_a_wrong_arrow(module, source, complaint):
    known = sources("orientd", "training/orientd_training")
    known[module] = known.get(module, "") + "\n" + source
    assert any(found.startswith(complaint) for found in wrong_arrows(known)), wrong_arrows(known)


def test_the_dependencies_are_what_is_imported():
    distributions = packages_distributions()
    known = sources("orientd")
    used = {target.split(".")[0] for module, source in known.items() for target in imports(module, source, known)}
    wanted = {distributions[name][0].lower().replace("_", "-") for name in used - EXTRAS if name in distributions} - {"orientd"}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {line.split(">")[0].lower() for line in declared} == wanted


def test_files_and_functions_stay_small():
    known = sources("orientd", "training/orientd_training")
    long = [module for module, source in known.items() if len(source.splitlines()) > MOST_LINES]
    functions = [
        f"{module}.{node.name}"
        for module, source in known.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]
    assert (long, functions) == ([], [])


def test_the_command_line_starts_without_anything_heavy():
    code = "import sys, orientd.cli.main; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert {"orientd", "click"} <= loaded
    assert loaded & HEAVY == set()


INNER = """
import multiprocessing, os, threading
import pytest

wait = threading.Lock()
wait.acquire()

def test_thread():
    threading.Thread(target=wait.acquire, name="stray thread", daemon=True).start()

def test_process():
    multiprocessing.get_context("fork").Process(target=wait.acquire, name="stray process", daemon=True).start()

def test_report():
    open("orientd-report.csv", "x").close()

def test_clean():
    threading.Thread(target=os.getpid).start()
    assert os.environ["XDG_STATE_HOME"].startswith(os.environ["TMPDIR"])
    assert os.environ["XDG_CONFIG_HOME"].startswith(os.environ["TMPDIR"])
    assert not {"ORIENTD_BATCH", "STATE_DIRECTORY"} & set(os.environ)

@pytest.mark.alone
def test_alone(tmp_path):
    assert tmp_path.parent.name != "alone", "in a process of its own"
"""


def test_what_every_test_leaves_behind_is_checked_and_who_asks_gets_a_process(tmp_path, monkeypatch):
    patience, text = "_GRACE_SECONDS = 60.0", Path(__file__).with_name("conftest.py").read_text()
    assert patience in text
    (tmp_path / "conftest.py").write_text(text.replace(patience, "_GRACE_SECONDS = 0.5"))
    (tmp_path / "test_inner.py").write_text(INNER)
    for name, value in {"TMPDIR": str(tmp_path), "ORIENTD_BATCH": "1", "STATE_DIRECTORY": "/nowhere", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_inner.py"]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "ERROR test_inner.py::test_thread - AssertionError: the test left running: stray thread" in output
    assert "ERROR test_inner.py::test_process - AssertionError: the test left running: stray process" in output
    assert "AssertionError: in a process of its own" in output
    assert (
        "ERROR test_inner.py::test_report - AssertionError: the test left in the folder of the tests: orientd-report.csv"
        in output
    )
    assert "1 failed, 4 passed, 1 warning, 3 errors" in output, "a mark that is not registered here is the warning"
