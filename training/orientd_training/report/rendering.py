"""Figures in words, and the templates that put them on a page. The only module that knows Jinja2."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def rendered(template: str, **values: Any) -> str:
    """The text of a file in `templates/`; in one for HTML every value is escaped that is not marked as safe.

    Bytes of a name that are no UTF-8 are written as \\udcXX.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def encoded(picture: bytes) -> str:
    """The content of a data: URL."""
    return b64encode(picture).decode()


def percent(part: float) -> str:
    return f"{100 * part:.1f} %"


def between(interval: Sequence[float] | None, scale: float = 100, digits: int = 1, sign: str = "") -> str:
    """The bounds of an interval times `scale`; "" of none. With `sign` "+" both have a sign."""
    return "" if interval is None else " to ".join(f"{scale * bound:{sign}.{digits}f}" for bound in interval)


def share(part: float, interval: Sequence[float]) -> str:
    return f"{percent(part)} ({between(interval)})"


def widest(figures: dict[str, Any], prefix: str = "") -> Sequence[float]:
    """The interval by groups, where there are any."""
    interval: Sequence[float] = figures[f"{prefix}group_interval"] or figures[f"{prefix}interval"]
    return interval


def p_value(value: float, equals: str = "") -> str:
    return "< 0.0001" if value < 1e-4 else f"{equals}{value:.4f}"


def cell(text: str) -> str:
    """Text that breaks no table of Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")


def _writable(value: Any) -> Any:
    is_whole = not isinstance(value, str) or value.isascii()
    return value if is_whole else type(value)(value.encode("utf-8", "backslashreplace").decode())


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("orientd_training.report"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    finalize=_writable,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {each.__name__: each for each in (percent, between, share, widest, p_value, cell)}
