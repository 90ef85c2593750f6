"""Settings: defaults < YAML file < environment < flags. The only module that reads YAML for orientd.

Every mistake of every source is reported at once, with its source and its key; an unknown key is a mistake.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from orientd.config import address, hook, strict
from orientd.config.places import at_home, default_file, state_directory
from orientd.config.places import cache_directory as cache_directory
from orientd.config.places import config_directory as config_directory
from orientd.config.places import data_directory as data_directory
from orientd.config.places import usual_state_directory as usual_state_directory
from orientd.errors import ConfigError
from orientd.judge.policy import DEFAULT, Policy

ENVIRONMENT_PREFIX: Final = "ORIENTD_"
TOKEN_VARIABLE: Final = "ORIENTD_SERVE_TOKEN"
"""No option but a secret, which `config show` must never show."""

HOURS: Final = r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d"  # 22:00-07:30
_Writable = Literal["jpeg", "mpo", "png", "webp", "tiff", "heif", "avif"]
OF_MODEL: Final = "model"
_IF_GIVEN: Final[Mapping[object, object]] = {float | None: float, int | None: int}  # else what was fitted with the model
_LISTS: Final[Mapping[object, str]] = {tuple[str, ...]: "a list of texts", tuple[_Writable, ...]: "a list of formats"}
_REACHED: Final = (
    "metrics: others can reach {}: name a metrics_token_file, or set metrics_open: true if anyone who can may read them"
)
_SWITCH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def _option(
    default: Any, about: str, low: float | None = None, high: float | None = None, form: tuple[str, str] = ("", "")
) -> Any:
    """`form` is what a text that is not empty must match, and what that is in words."""
    return field(default=default, metadata={"help": about, "low": low, "high": high, "form": form})


@dataclass(frozen=True, slots=True)
class Config:
    """Every option of orientd; the help text and the range of each are in its metadata (see `HELP`)."""

    model: str = _option(
        "", "Model to judge with, by name (see orientd models) or file (.onnx); empty for the one that comes with orientd."
    )
    provider: Literal["cpu", "cuda", "tensorrt", "tensorrt-fp16"] = _option(
        "cpu",
        "What the model runs on: cpu; cuda for NVIDIA cards; tensorrt for these, with an engine that is built for them once and"
        " takes over when it is ready; tensorrt-fp16 for such a one in half precision.",
    )
    gpus: str = _option(
        "0",
        "NVIDIA cards to use, by the numbers CUDA gives them, separated by commas, such as 0,1; or all.",
        form=(r"all|\d{1,3}(, *\d{1,3})*", "numbers such as 0,1, or all"),
    )
    gpu_memory: int = _option(0, "Memory limit for each NVIDIA card, in MiB; 0 for no limit", 0, 2**20)
    min_confidence: float | None = _option(
        None, "Turn a photo only if that turn is at least this probable; model: as it was fitted with the model", 0.5, 1
    )
    prior_upright: float | None = _option(
        None, "Share of photos taken to be upright before any is looked at; model: as it was fitted with the model", 0.25, 0.9999
    )
    min_agreement: int | None = _option(
        None, "Turn a photo only if at least this many of its eight views agree; model: as it was fitted with the model", 1, 8
    )
    second_look_below: float | None = _option(
        None,
        "Look at eight views, and ask the other networks, if upright is less probable than this; model: as it was fitted with"
        " the model",
        0,
        1,
    )
    workers: int = _option(0, "Photos judged at the same time; 0 for one per processor core that orientd may use", 0, 1024)
    batch: int = _option(8, "Photos handed to the model together", 1, 1024)
    first_look: Literal["photo", "thumbnail"] = _option(
        "photo",
        "What a scan looks at first: photo = each photo whole; thumbnail = that of a JPEG, which may only confirm that a photo is"
        " upright, where it is certain to show the same. Several times faster, but damage to upright photos goes unnoticed.",
    )
    exclude: tuple[str, ...] = _option(
        (), "Files and folders to leave out: paths such as '~/Pictures/private', or patterns as in .gitignore: '*.tmp', 'drafts'."
    )
    exclude_file: str = _option("", "File of such patterns, one a line.")
    one_file_system: bool = _option(False, "Stay on the disk a folder is on: do not enter others mounted below it.")
    max_pixels: int = _option(200_000_000, "Photos with more pixels than this are listed, not judged", 1, 2**31)
    max_bytes: int = _option(512 * 2**20, "Files with more bytes than this are listed, not judged", 1, 2**40)
    max_memory: int = _option(
        0,
        "Memory for decoding photos, in MiB: a photo waits until those under way leave room for it, and one that takes more is"
        " decoded alone; 0 for half of what is free when orientd starts",
        0,
        2**20,
    )
    isolate: bool = _option(
        True,
        "Decode, and turn pixels, in child processes, which a damaged or hostile photo may crash without ending the run; about a"
        " millisecond more a photo. What a graphics card decodes, it decodes in orientd itself.",
    )
    mtime: Literal["shift", "keep", "now"] = _option(
        "shift",
        "Modification time of a photo that was written: shift = the old one plus 2 seconds, so that dates keep their order"
        " and backups notice; keep = the old one, which rsync and Syncthing may miss; now = the moment of writing.",
    )
    method: Literal["tag", "rotate", "auto"] = _option(
        "tag",
        "How to fix a photo: tag = change the orientation it stores, a few bytes; rotate = turn its pixels, where that is"
        " proved to lose nothing (JPEG, PNG, lossless WebP), else the tag; auto = the pixels where many viewers ignore the tag"
        " (PNG, lossless WebP), else the tag.",
    )
    hard_links: bool = _option(False, "Also write photos that have several names (hard links): all of them change.")
    formats: tuple[_Writable, ...] = _option(
        get_args(_Writable), "Formats that may be written, separated by commas; photos in others are listed only."
    )
    sidecar: Literal["off", "write"] = _option(
        "off",
        "Photos that are never written themselves, such as raw files and signed ones (C2PA): off = they are left alone; write ="
        " they are judged, and how they are to be shown is written to an XMP sidecar next to them, for photo programs to obey.",
    )
    sidecar_naming: Literal["full", "adobe"] = _option(
        "full", "Name of a new sidecar: full = photo.cr2.xmp, as of darktable and digiKam; adobe = photo.xmp."
    )
    state_dir: str = _option(
        "", "Folder for the journal and the cache of photos already judged; empty for the usual one (~/.local/state/orientd)."
    )
    metrics_textfile: str = _option(
        "",
        "File (.prom) in which a scan leaves its numbers for the textfile collector of Prometheus' node_exporter.",
        form=(r"(.*/)?[^/]+\.prom", "a file whose name ends with .prom, or the collector passes over it"),
    )
    on_finish: tuple[str, ...] = _option(
        (),
        "What to start after a scan or apply that came to its end: a program with its arguments, [/usr/local/bin/notify, photos],"
        " or an address (https). It is given what happened as JSON, see docs/monitoring.md.",
    )
    on_found: tuple[str, ...] = _option((), "The same after a scan that found photos to fix, or when orientd watch does.")
    on_error: tuple[str, ...] = _option((), "The same after an error that ended a scan or apply, or that orientd watch meets.")

    immich_url: str = _option("", "Address of the server whose photos orientd immich scan looks at: https://photos.example.com.")
    immich_key_file: str = _option(
        "",
        "File with the API key of that server, and nothing else; empty for the credential immich-key of systemd.",
    )
    immich_ca_file: str = _option("", "File (PEM) with the certificates to trust that server by; empty for those of the system.")
    immich_name: str = _option("", "Short name for that server, with which paths of its photos begin; empty for its host.")

    libraries: tuple[str, ...] = _option((), "Folders that orientd watch watches if it is given none.")
    fix: bool = _option(
        False, "Let orientd watch fix photos that are sideways or upside down. Other commands still need --fix or a plan."
    )
    plan: str = _option("", "File (.csv) in which orientd watch collects what it would fix, for orientd apply.")
    observer: Literal["auto", "inotify", "polling"] = _option(
        "auto",
        "How orientd watch learns of changes: inotify = the kernel reports them; polling = by looking through the folders at"
        " intervals, as on network drives; auto = whichever fits.",
    )
    when_missing: Literal["exit", "wait"] = _option(
        "exit",
        "What orientd watch does when a folder is not there, or is unmounted: exit (with code 75) or wait for it.",
    )
    settle: float = _option(2.0, "Seconds for which a file must not have changed before it is judged", 0.1, 3600)
    stalled: float = _option(
        60.0,
        "Seconds after which a file is judged although it is empty, or its writer may only be pausing",
        1,
        86400,
    )
    latency: float = _option(2.0, "Seconds for which orientd watch lets photos wait for others, to judge them together", 0, 3600)
    walk_every: float = _option(
        3600.0,
        "Seconds between two looks through all folders for what the kernel did not report; 0 for one at the start",
        0,
        10**6,
    )
    poll_every: float = _option(300.0, "Seconds between two looks through all folders where the kernel reports nothing", 1, 10**6)
    waiting_room: int = _option(20_000, "Files that may wait at the same time; what is beyond that is found later", 1000, 10**7)
    quiet_hours: str = _option(
        "",
        "Hours, by local time, in which orientd watch only notes what to judge later, such as '22:00-07:00, 12:00-13:00'.",
        form=(rf"{HOURS}(, *{HOURS})*", "hours such as 22:00-07:00, several separated by commas"),
    )
    rate_limit: float = _option(0.0, "Photos that orientd watch judges in a minute at most; 0 for as many as it can", 0, 10**6)
    pause_on_battery: bool = _option(False, "Let orientd watch only note what to judge later while the machine runs on battery.")
    release_after: float = _option(
        300.0, "Seconds without work after which orientd watch gives back the model's memory", 0, 10**6
    )
    metrics: str = _option(
        "",
        "Address, such as 127.0.0.1:9812, where orientd watch answers Prometheus (/metrics) and says whether it works (/healthz);"
        " one that others can reach only with metrics_token_file, or metrics_open; empty for none.",
        form=(address.FORM, "an address such as 127.0.0.1:9812"),
    )
    metrics_token_file: str = _option(
        "", "File with one line of at least 16 characters that whoever asks for metrics must send (Authorization: Bearer)."
    )
    metrics_open: bool = _option(False, "Let whoever reaches that address read the metrics without such a token.")
    log_format: Literal["auto", "human", "journal", "json"] = _option(
        "auto",
        "How orientd watch and orientd serve log: auto = human on a terminal, elsewhere as the systemd journal wants it; or"
        " human, journal, json.",
    )

    def policy(self, fitted: Policy = DEFAULT) -> Policy:
        """That which was fitted with the model, with what is set here in its place."""
        given = {name: getattr(self, name) for name in (field.name for field in fields(Policy))}
        return replace(fitted, **{name: value for name, value in given.items() if value is not None})


def _help(option: Field[Any]) -> str:
    about, low, high = (option.metadata[key] for key in ("help", "low", "high"))
    return about if low is None else f"{about} ({low} to {high})."


OPTIONS: Final[Mapping[str, Field[Any]]] = {option.name: option for option in fields(Config)}
PATHS: Final = (
    "model",
    "plan",
    "exclude_file",
    "state_dir",
    "metrics_textfile",
    "metrics_token_file",
    "immich_key_file",
    "immich_ca_file",
)
"""Options that may name a file or folder; in each a ~ at the beginning stands for the home."""
HOOKS: Final = ("on_finish", "on_found", "on_error")
HELP: Final[Mapping[str, str]] = {name: _help(option) for name, option in OPTIONS.items()}


def load(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Merge every source into one Config whose `state_dir` is filled in.

    Args:
        file: the YAML file; None for $XDG_CONFIG_HOME/orientd/orientd.yaml, if there is one.
        environment: ORIENTD_<OPTION> set options (a list is separated by colons, an empty value counts as not given); HOME,
            XDG_CONFIG_HOME, XDG_STATE_HOME and systemd's STATE_DIRECTORY say where things are.
        flags: by option name; None and () mean not given.

    Raises:
        ConfigError: lists every mistake of every source, one a line.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for source, name, value in _given(file, environment, flags, problems):
        try:
            values[name] = _checked(name, value)
        except ValueError as error:
            problems.append(f"{source}: {error}")
    config = replace(Config(), **values)  # type: ignore[arg-type]  # _checked has checked the types
    if config.metrics and not (address.is_of_this_machine(config.metrics) or config.metrics_token_file or config.metrics_open):
        problems.append(_REACHED.format(config.metrics))
    if problems:
        raise ConfigError("\n".join(problems))
    places: dict[str, Any] = {name: at_home(getattr(config, name), environment) for name in PATHS}
    places |= {name: hook.at_home(getattr(config, name), environment) for name in HOOKS}
    return replace(config, **places | {"state_dir": places["state_dir"] or state_directory(environment)})


def _given(
    file: str | None, environment: Mapping[str, str], flags: Mapping[str, object], problems: list[str]
) -> Iterator[tuple[str, str, object]]:
    """(source as the user knows it, option name, value) of all sources, the weakest first."""
    path = file or default_file(environment)
    if file or os.path.exists(path):
        for name, value in _from_file(path, problems):
            yield f"{path}: {name}", name, value
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and text and variable != TOKEN_VARIABLE:
            yield variable, variable.removeprefix(ENVIRONMENT_PREFIX).lower(), text
    for name, flag in flags.items():
        if flag is not None and flag != ():
            yield f"--{name.replace('_', '-')}", name, flag


def _from_file(path: str, problems: list[str]) -> list[tuple[str, object]]:
    """Every scalar as text: `_from_text` knows what an option wants, YAML's guesses (1e-3 is text, 2024-01-01 a date) do not."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        node, content = yaml.compose(text, Loader=yaml.BaseLoader), yaml.load(text, Loader=yaml.BaseLoader)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8 text: save it as UTF-8")
    except yaml.YAMLError as error:
        problems.append(f"{path}: is not valid YAML: {' '.join(str(error).split())}")
    else:
        if node is None:
            return []
        if isinstance(content, dict):
            names = [key.value for key, _ in node.value]
            problems += [f"{path}: {name}: is given {names.count(name)} times" for name in content if names.count(name) > 1]
            return [(str(name), value) for name, value in content.items()]
        problems.append(f"{path}: must hold lines such as 'workers: 2'")
    return []


def _checked(name: str, given: object) -> object:
    """The value as Config holds it.

    Raises:
        ValueError: the name, the type or the range is wrong; the message says what is wanted.
    """
    if name not in OPTIONS:
        raise ValueError(f"there is no such option{strict.did_you_mean(name, OPTIONS)}")
    option = OPTIONS[name]
    if get_origin(option.type) is Literal:
        return _chosen(given, get_args(option.type))
    if name in HOOKS:
        return hook.checked(given)
    kind = _IF_GIVEN.get(option.type, option.type)
    if kind is not option.type and given in (None, OF_MODEL):
        return None
    value = _from_text(kind, given) if isinstance(given, str) else given
    if kind in _LISTS:
        return _listed(kind, value)
    low, high, (form, wanted) = (option.metadata[key] for key in ("low", "high", "form"))
    value = strict.scalar(kind, value)
    if form and value and not re.fullmatch(form, value):
        raise ValueError(f"must be {wanted}, got {given!r}")
    if low is not None:
        strict.within(value, low, high, given)
    return float(value) if kind is float else value


def _listed(kind: object, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"must be {_LISTS[kind]}, got {value!r}")
    choices = get_args(_Writable) if kind == tuple[_Writable, ...] else ()
    return tuple(_chosen(item, choices) if choices else item for item in value)


def _chosen(given: Any, choices: tuple[str, ...]) -> Any:
    try:
        return strict.choice(given, choices)
    except ValueError as error:
        raise ValueError(f"{error}{strict.did_you_mean(str(given), choices)}") from None


def _from_text(kind: object, text: str) -> Any:
    """What a text says as a value of that type; the text itself if it says none."""
    if kind is bool:
        return _SWITCH.get(text.lower(), text)
    if kind == tuple[str, ...]:
        if "," in text and ":" not in text:
            raise ValueError(f"is one text, got {text!r}: write several as a list, [a, b], or separated by colons, a:b")
        return tuple(filter(None, text.split(":")))
    if kind == tuple[_Writable, ...]:
        return tuple(filter(None, text.replace(":", ",").replace(" ", "").split(",")))
    try:
        return int(text) if kind is int else float(text) if kind is float else text
    except ValueError:
        return text


def check_modes(config: Config) -> None:
    """Check that the settings of a watcher for photos sideways or upside down do not contradict each other.

    Raises:
        ConfigError: it does.
    """
    if config.fix and config.plan:
        raise ConfigError("fix and plan exclude each other: fix photos at once, or collect them in a plan")


def origins(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, str]:
    """Option name → the strongest source that sets it, as the user knows it; options left at their defaults are not in it."""
    return {name: source for source, name, _ in _given(file, environment, flags, []) if name in OPTIONS}
