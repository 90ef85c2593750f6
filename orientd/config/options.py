"""The options of orientd: names, types, defaults, ranges and help; a new one is added here. Pure data."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

from orientd.config import address
from orientd.judge.policy import DEFAULT, Policy

HOURS: Final = r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d"  # 22:00-07:30
OF_MODEL: Final = "model"
"""What stands in a file, or behind a flag, for a number that is to stay as it was fitted with the model."""

WritableFormat = Literal["jpeg", "mpo", "png", "webp", "tiff", "heif", "avif"]


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
    formats: tuple[WritableFormat, ...] = _option(
        get_args(WritableFormat), "Formats that may be written, separated by commas; photos in others are listed only."
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
