"""Imports run one way, a third-party library has one owner, files and functions stay small, and the other rules of the house."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each folder may import only from ranks before its own, not even from its neighbors in the same rank.
RANKS = (
    {"", "commands", "errors", "reasons", "records", "orientation"},
    {"files", "formats", "judge", "infer"},
    {"config"},
    {"decode", "library", "state", "report"},
    {"gpu", "write", "witnesses", "hooks", "pages"},
    {"pipeline"},
    {"app"},
    {"watch", "web", "api"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
VOCABULARY = RANKS[0]
OWNERS = {
    "numpy": set(RANK),
    "onnxruntime": {"infer"},
    "nvidia": {"decode"},
    "simplejpeg": {"decode"},
    "pillow_heif": {"decode"},
    "PIL": {"decode"},
    "pypdfium2": {"pages"},
    "pathspec": {"library"},
    "yaml": {"config"},
    "rich": {"report", "cli"},
    "click": {"cli"},
    "watchdog": {"watch"},
    "sqlite3": {"state"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "httpx": {"pipeline"},
    "ray": {"pipeline"},
}
NETWORK = {
    "socket": {"watch", "web", "pipeline"},  # for systemd, to answer, to tell private addresses
    "socketserver": {"watch", "web"},
    "http.server": {"watch", "web"},
    "http": {"hooks"},
    "urllib": {"hooks"},
    "http.client": {"hooks"},
    "urllib.request": {"hooks"},
    "urllib.error": {"hooks"},
    "smtplib": set(),
    "ftplib": set(),
    "asyncio": {"web"},  # to answer
}
"""Who opens connections, by the modules that can: orientd calls anybody from hooks, pipeline.immich (by httpx) and
pipeline.cluster (by ray) alone."""
_SERVER = "orientd.pipeline.immich"
_OWN_PLACES = {"httpx": _SERVER, "ray": "orientd.pipeline.cluster.actors"}
EXTRAS = {"onnxruntime", "nvidia", "starlette", "uvicorn", "pypdfium2", "httpx", "ray"}
TRAINING_RANKS = ({"config", "files"}, {"data"}, {"fit", "evaluate"}, {"export"}, {"report"}, {"pipeline"}, {"cli"})
TRAINING_RANK = {name: rank for rank, names in enumerate(TRAINING_RANKS) for name in names}
TRAINING_OWNERS = {
    "yaml": {"config"},
    "click": {"cli"},
    "PIL": {"data.pages", "report.contact_sheets"},
    "matplotlib": {"report.plots"},
    "jinja2": {"report.rendering"},
    "timm": {"fit.network"},
    "mlflow": {"fit.tracking"},
    "scipy": {"evaluate.statistics", "data.near_duplicates"},
}
TRAINING_MAY_USE = VOCABULARY | {"judge", "infer", "decode", "witnesses", "library", "config", "formats"}
HEAVY = {"numpy", "PIL", "onnxruntime", "torch", "simplejpeg", "pillow_heif", "nvidia", "rich", "yaml", "sqlite3", "watchdog"}
HEAVY |= {"starlette", "uvicorn", "httpx", "ray"}
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_FOLDERS = 19
MOST_MODULES_BESIDE_THEM = 8


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
    """Every import that breaks a rule, and every module that stands in no rank."""
    found, graph = [], {}
    for module, source in known.items():
        targets = set(imports(module, source, known)) - {module}
        graph[module] = {target for target in targets if target in known}
        is_training = module.split(".")[0] == "orientd_training"
        judge = _wrong_in_training if is_training else _wrong_in_orientd
        found += [f"{module} → {target}: {reason}" for target in sorted(targets) if (reason := judge(module, target))]
        if part(module) and part(module) not in (TRAINING_RANK if is_training else RANK):
            found.append(f"{module}: has no rank")
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
        if target.startswith(_SERVER) and part(module) == "pipeline" and not module.startswith(_SERVER):
            return "the stages know no server"
        if module == "orientd.pipeline.run" and part(target) not in VOCABULARY:
            return "the order of the stages knows only the vocabulary"
        return "" if _may_import(RANK, module, target) else "runs the wrong way"
    if target in NETWORK and part(module) not in NETWORK[target]:
        return f"{target} belongs to {', '.join(sorted(NETWORK[target])) or 'nobody'}"
    if not module.startswith(place := _OWN_PLACES.get(library, "")):
        return f"{library} belongs to {place}"
    if library in OWNERS:
        return "" if part(module) in OWNERS[library] else f"{library} belongs to {', '.join(sorted(OWNERS[library]))}"
    return "" if library in sys.stdlib_module_names else f"{library} has no owner"


def _wrong_in_training(module: str, target: str) -> str:
    library = target.split(".")[0]
    if library == "orientd":
        return "" if part(target) in TRAINING_MAY_USE else "training uses only what judges"
    if library == "orientd_training":
        return "" if _may_import(TRAINING_RANK, module, target) else "runs the wrong way"
    owners = TRAINING_OWNERS.get(library)
    inside = module.removeprefix("orientd_training.") + "."
    return "" if owners is None or inside.startswith(tuple(f"{owner}." for owner in owners)) else f"{library} has another owner"


def _may_import(ranks: Mapping[str, int], module: str, target: str) -> bool:
    """True within a folder, within the vocabulary, and towards earlier ranks."""
    mine, other = part(module), part(target)
    is_vocabulary = ranks is RANK and {mine, other} <= VOCABULARY
    return mine == other or is_vocabulary or not other or ranks.get(other, 0) < ranks.get(mine, len(ranks))


def test_no_arrow_runs_the_wrong_way():
    known = sources("orientd", "training/orientd_training")
    assert {"orientd", "orientd.errors", "orientd.formats.jpeg", "orientd_training.fit.loop"} <= set(known)
    assert wrong_arrows(known) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("orientd.judge.policy", "from orientd.state import journal", "orientd.judge.policy → orientd.state.journal: runs the"),
        ("orientd.judge.policy", "from ..state import journal", "orientd.judge.policy → orientd.state.journal: runs the"),
        ("orientd.judge.policy", "import orientd.state.journal as r", "orientd.judge.policy → orientd.state.journal: runs the"),
        (
            "orientd.judge.policy",
            "def f():\n    from orientd.state.lock import Lock",
            "orientd.judge.policy → orientd.state.lock:",
        ),
        ("orientd.formats", "from ..state.lock import Lock", "orientd.formats → orientd.state.lock: runs the wrong way"),
        ("orientd.formats.png", "from ..state.lock import Lock", "orientd.formats.png → orientd.state.lock: runs the wrong way"),
        ("orientd.formats.png", "from orientd.files import read", "orientd.formats.png → orientd.files.read: runs the wrong way"),
        ("orientd.state.seen", "from orientd.report import text", "orientd.state.seen → orientd.report.text: runs the wrong way"),
        ("orientd.records", "from orientd.formats import jpeg", "orientd.records → orientd.formats.jpeg: runs the wrong way"),
        ("orientd.write.transaction", "from orientd import app", "orientd.write.transaction → orientd.app: runs the wrong way"),
        ("orientd.app", "from orientd.cli.main import main", "orientd.app → orientd.cli.main: runs the wrong way"),
        ("orientd.pipeline.run", "import orientd.judge.policy", "orientd.pipeline.run → orientd.judge.policy: the order of"),
        ("orientd.library.photo", "import orientd_training.cli", "orientd.library.photo → orientd_training.cli: orientd never"),
        ("orientd.library.photo", "from PIL import Image", "orientd.library.photo → PIL: PIL belongs to decode"),
        ("orientd.witnesses.faces", "import onnxruntime", "orientd.witnesses.faces → onnxruntime: onnxruntime belongs to infer"),
        (
            "orientd.judge.policy",
            "from orientd.witnesses import views",
            "orientd.judge.policy → orientd.witnesses.views: runs the",
        ),
        ("orientd.files.write", "import sqlite3", "orientd.files.write → sqlite3: sqlite3 belongs to state"),
        ("orientd.library.photo", "import torch", "orientd.library.photo → torch: torch has no owner"),
        ("orientd.report.plan", "import urllib.request", "orientd.report.plan → urllib.request: urllib.request belongs to hooks"),
        (
            "orientd.report.plan",
            "from socket import socket",
            "orientd.report.plan → socket: socket belongs to pipeline, watch, web",
        ),
        ("orientd.misc", "import os", "orientd.misc: has no rank"),
        ("orientd.pipeline.stages", "import httpx", "orientd.pipeline.stages → httpx: httpx belongs to orientd.pipeline.immich"),
        (
            "orientd.pipeline.cluster.crew",
            "import ray",
            "orientd.pipeline.cluster.crew → ray: ray belongs to orientd.pipeline.cluster.actors",
        ),
        (
            "orientd.pipeline.stages",
            "from orientd.pipeline.immich import scan",
            "orientd.pipeline.stages → orientd.pipeline.immich.scan: the stages know no server",
        ),
        ("orientd.report.text", "from orientd.report import plan", "cycle: "),
        ("orientd_training.fit.loop", "import yaml", "orientd_training.fit.loop → yaml: yaml has another owner"),
        ("orientd_training.data.prepare", "from PIL import Image", "orientd_training.data.prepare → PIL: PIL has another owner"),
        ("orientd_training.fit.loop", "from timm.utils import ModelEmaV3", "orientd_training.fit.loop → timm"),
        ("orientd_training.report.html", "import jinja2", "orientd_training.report.html → jinja2: jinja2 has another owner"),
        ("orientd_training.fit.loop", "from orientd.write import fix", "orientd_training.fit.loop → orientd.write.fix: training"),
        (
            "orientd_training.fit.loop",
            "from orientd_training import cli",
            "orientd_training.fit.loop → orientd_training.cli: runs",
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
    assert {re.split("[<>=]", line)[0].lower() for line in declared} == wanted


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


def test_the_house_has_few_rooms():
    """19 folders with all that are planned; `models` holds data."""
    entries = [path for path in (ROOT / "orientd").iterdir() if not path.name.startswith((".", "__pycache__"))]
    folders = [path.name for path in entries if path.is_dir() and any(path.glob("*.py"))]
    modules = [path.name for path in entries if path.suffix == ".py"]
    assert (len(folders) <= MOST_FOLDERS, len(modules) <= MOST_MODULES_BESIDE_THEM) == (True, True), (folders, modules)


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

def test_process():
    multiprocessing.get_context("fork").Process(target=wait.acquire, name="stray process", daemon=True).start()

def test_thread():
    threading.Thread(target=wait.acquire, name="stray thread", daemon=True).start()

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
    patience, text = "_GRACE_SECONDS = 60.0", (ROOT / "tests" / "conftest.py").read_text()
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
