"""The command of the service over HTTP: serve."""

import os
import sys
from typing import Final

import click

from orientd.cli.helping import Command
from orientd.cli.options import configured
from orientd.cli.review import check_installed
from orientd.cli.stopping import stoppable
from orientd.config import TOKEN_VARIABLE, Config, processors
from orientd.config import token as tokens
from orientd.config.address import is_of_this_machine
from orientd.errors import ConfigError, ExitCode

_LISTEN: Final = "127.0.0.1:8765"
_CREDENTIAL: Final = "serve-token"
_MIB: Final = 2**20
_JUDGING: Final = (
    "model",
    "provider",
    "gpus",
    "gpu_memory",
    "min_confidence",
    "prior_upright",
    "min_agreement",
    "second_look_below",
    "max_pixels",
    "max_memory",
    "isolate",
    "workers",
    "log_format",
)
_REACHED: Final = (
    "others can reach {}: name a --token-file, or set {} (openssl rand -hex 16 prints one); or listen on 127.0.0.1 and put a"
    " proxy with TLS before it"
)
_OPEN_TO_OTHERS: Final = (
    "what is sent to this address is not encrypted: anybody on the way can see the pictures and the token, so rather put a proxy"
    " with TLS before 127.0.0.1"
)


@click.command(cls=Command)
@click.option("--listen", default=_LISTEN, metavar="HOST:PORT", help="Where to answer; port 0 is a free one.", show_default=True)
@click.option(
    "--token-file", metavar="FILE", help=f"File with the token that clients must send (default: {TOKEN_VARIABLE}, or none)."
)
@click.option("--queue", type=click.IntRange(1, 10_000), default=64, help="Pictures that may wait at most.", show_default=True)
@click.option("--max-body", type=click.IntRange(1, 4096), default=64, help="MiB that one request may have.", show_default=True)
@click.option(
    "--max-bodies", type=click.IntRange(1, 2**20), default=256, help="MiB that all requests together may have.", show_default=True
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(1, 80),
    default=60.0,
    help="Seconds that receiving a request may take, and answering it as well.",
    show_default=True,
)
@click.option(
    "--gather",
    type=click.FloatRange(0, 10),
    default=0.02,
    help="Seconds for which a picture waits for others, where a graphics card judges many together.",
    show_default=True,
)
@configured(*_JUDGING)
def serve(
    config: Config,
    listen: str,
    token_file: str | None,
    queue: int,
    max_body: int,
    max_bodies: int,
    max_seconds: float,
    gather: float,
) -> int:
    """Answer other programs over HTTP which way pictures are up, and show a page to try it.

    POST /v1/orientation takes one picture or several, and /v1/page a page of text; /docs tells the rest. Nothing that is sent is
    kept, no address is fetched, no path is read. SIGTERM and Ctrl-C end it once what is in hand is answered.
    """
    check_installed("serve")
    token = _token(token_file)
    if not token and not is_of_this_machine(listen):
        raise ConfigError(_REACHED.format(listen, TOKEN_VARIABLE))
    from orientd.watch.logs import logging_to
    from orientd.watch.sd_notify import systemd
    from orientd.web.listening import listening
    from orientd.web.service import serving
    from orientd.web.service.door import Limits
    from orientd.web.service.judging import Judging

    manager = systemd(os.environ, os.getpid())
    limits = Limits(max_body * _MIB, max(max_body, max_bodies) * _MIB, max_seconds, max_seconds)
    terms = serving.Terms(token, limits, config.workers or processors.available(), queue, gather)
    with logging_to(sys.stderr, config.log_format) as log, listening(listen) as (bound, access), stoppable() as stop:

        def begin() -> None:
            click.echo(f"orientd answers at {access.address.partition('?')[0]}")
            sys.stdout.flush()
            if not access.is_local:
                log.warning(_OPEN_TO_OTHERS)
            manager.ready()

        serving.serve(Judging(config, log.warning), bound, access, terms, log, begin, stop, manager.alive)
        manager.stopping()
    return ExitCode.OK


def _token(file: str | None) -> str:
    """By the option, else from systemd's credential, else from the environment, where it is removed for the sake of children.

    Raises:
        ConfigError: it is none.
    """
    given, folder = os.environ.pop(TOKEN_VARIABLE, ""), os.environ.get("CREDENTIALS_DIRECTORY", "")
    credential = os.path.join(folder, _CREDENTIAL)
    if file:
        return tokens.read(file, "--token-file")
    if folder and os.path.exists(credential):
        return tokens.read(credential, f"the credential {_CREDENTIAL}")
    return tokens.checked(given, TOKEN_VARIABLE) if given else ""
