"""The main loop of orientd watch: collects what arrives, has it judged when it is due, and reports it.

The loop sleeps until the kernel's hints or a signal wake it, or until something is due. Whatever it waits for, it sends systemd
its sign of life and checks the roots every half minute; that is all an idle service does.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Final

from orientd.config import Config, check_modes
from orientd.errors import ConfigError, ExitCode, OrientdError, StateError, Stopped
from orientd.library.exclude import Exclusion, read_patterns
from orientd.reasons import Reason
from orientd.records import Candidate
from orientd.state.lock import Lock
from orientd.watch import metrics_http
from orientd.watch.arrivals import Arrivals, WatchOptions
from orientd.watch.folder_claim import Claim
from orientd.watch.hook_runner import HookRunner
from orientd.watch.metrics import Metrics
from orientd.watch.sd_notify import Systemd
from orientd.watch.status_reporter import StatusReporter
from orientd.watch.throttle import QUIET_HOURS, Throttle
from orientd.watch.wakeup import Wakeup
from orientd.watch.worker import Worker

_BEAT: Final = 30.0
_RETRY: Final = 30.0  # seconds until a state directory that could not be used is tried again
_PATIENCE_EVERY: Final = 1.0
_PATIENCE: Final = 120.0  # seconds within which the next folder of any disk is listed
_BURST: Final = 30.0  # seconds; then others may write for a moment, and the loop looks after everything else
_PAUSE: Final = 1.0
_AT_ONCE: Final = 8
_FIXED: Final = ("state_dir", "metrics", "metrics_token_file", "metrics_open", "log_format", "libraries")


def watch(
    config: Config, paths: Sequence[str], reload: Callable[[], Config], command: str, systemd: Systemd, log: logging.Logger
) -> int:
    """Watch `paths`, or the libraries of the configuration, until a signal says to stop; returns the exit code.

    Raises:
        ConfigError: there is nothing to watch, or the modes exclude each other.
        StateError: another process watches one of the folders, or keeps its state in the same directory; or that cannot be used.
        LibraryUnavailable: a folder is not there, or went away, and that is not to be waited for.
        OrientdError: the model cannot be used.

    The hook reports an error that ends it, but not one at the start: the service may be restarted twice a minute.
    """
    roots = list(paths) or [os.path.expanduser(path) for path in config.libraries]
    if not roots:
        raise ConfigError("name a folder to watch, or list some as libraries in the configuration")
    check_modes(config)
    token, begun = metrics_http.read_token(config.metrics_token_file), time.time()
    daemon: Daemon | None = None
    try:
        with ExitStack() as stack:
            stack.enter_context(Lock(config.state_dir, "watching"))
            stack.enter_context(Claim(roots))
            daemon = Daemon(config, roots, reload, command, systemd, log)
            stack.callback(daemon.close)
            stack.enter_context(daemon.signals())
            if config.metrics:
                stack.enter_context(metrics_http.served(config.metrics, daemon.metrics.text, daemon.status.is_well, token))
            return daemon.run()
    except OrientdError as error:
        if daemon and daemon.is_ready:
            daemon.hooks.ended(error, begun)
        raise


class Daemon:
    """The loop and all that it turns. Times are in seconds by `clock`, which must not jump; `local` is the time of the day, and
    `wall` the time by which files are dated."""

    def __init__(
        self,
        config: Config,
        roots: Sequence[str],
        reload: Callable[[], Config],
        command: str,
        systemd: Systemd,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        local: Callable[[], time.struct_time] = time.localtime,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.config, self.metrics = config, Metrics()
        self._load, self._systemd, self._log, self._clock, self._wall = reload, systemd, log, clock, wall
        self.status = StatusReporter(self.metrics, config.state_dir, systemd, clock)
        self._throttle = Throttle(config, local)
        self._wakeup = Wakeup()
        self._signal, self._reload = 0, False
        self._due_since: float | None = None
        self._beat_at, self._worked_at, self._patience_at = 0.0, clock(), 0.0
        self._trouble: Reason | None = None
        self._taken = self.is_ready = False
        self.hooks = HookRunner(config, roots, log.warning, self._wakeup.wake, clock, wall)
        real = [os.path.realpath(root) for root in roots]
        self.work = Worker(
            config, real, command, self.metrics, log, self._stopping, self.status.working, clock, local, self.hooks.add
        )
        self.arrivals = Arrivals(
            roots, _watch_options(config), self.work.news, log.info, self._wakeup.wake, on_folder=self._on_folder, wall=wall
        )

    def run(self) -> int:
        """Watch until a signal says to stop."""
        self.work.prepare()
        with suppress(Stopped):
            self.arrivals.check(self._clock())
            self._systemd.ready()
            self.is_ready = True
            while not self._stopping():
                self._wakeup.wait(self._turn(self._clock()))
        self._systemd.stopping()
        self.metrics.state = "stopped"
        self.status.save()
        self._log.info("stopped")
        return ExitCode.INTERRUPTED if self._signal == signal.SIGINT else ExitCode.OK

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C stop after the photo in hand, SIGHUP reloads the configuration."""

        def stop(number: int, _: FrameType | None) -> None:
            self._signal = number

        def reload(_: int, __: FrameType | None) -> None:
            self._reload = True

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._wakeup.hear_signals()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        self.hooks.close()
        self.arrivals.close()
        self.work.close()
        self._wakeup.close()

    def _stopping(self) -> bool:
        return self._signal != 0

    def _turn(self, now: float) -> float:
        """Do what is to be done now; how long to wait for the next turn."""
        if self._reload:
            self._reload = False
            self._change(now)
        if now >= self._beat_at:
            self.arrivals.check(now)
            self._beat_at = now + min(_BEAT, (self._systemd.watchdog or _BEAT) / 3)
        self.arrivals.collect(now)
        why, seconds = self._held_back(now)
        if not why and self._is_due(now):
            self._burst(now)
            why, seconds = self._held_back(self._clock())
        elif now - self._worked_at >= self.config.release_after:
            self.work.release()
        if why != QUIET_HOURS:
            self.hooks.turn()
        if not self._trouble:
            self.metrics.worked = self._wall()
        self.metrics.waiting = len(self.arrivals)
        self.metrics.state = why or ("looking through the folders" if self.arrivals.walking else "idle")
        self.status.alive()
        self.status.save()
        return seconds if why and not self.arrivals.walking else self._seconds_to_wait(self._clock())

    def _seconds_to_wait(self, now: float) -> float:
        if self.arrivals.walking:
            return 0.0
        settled, walk = self.arrivals.next_settled(), self.arrivals.next_walk()
        due = None if settled is None else max(settled, self._due_since + self.config.latency if self._due_since else settled)
        idle_at, hooks_at = self._worked_at + self.config.release_after, self.hooks.next()
        times = [self._beat_at, *(at for at in (due, walk, hooks_at) if at is not None), *([idle_at] if idle_at > now else [])]
        return max(min(times) - now, 0.0)

    def _is_due(self, now: float) -> bool:
        """True once a file has settled and others had the time to settle with it."""
        settled = self.arrivals.next_settled()
        if settled is None or settled > now:
            self._due_since = None
            return False
        self._due_since = self._due_since or settled
        return now >= self._due_since + self.config.latency

    def _held_back(self, now: float) -> tuple[str, float]:
        """Why nothing may be begun now, and how long to wait before asking again."""
        why, seconds = self._throttle.why_not(now)
        return why, min(seconds, _BEAT)

    def _burst(self, now: float) -> None:
        self.metrics.state, self._due_since, self._taken = "judging", None, False
        self.status.save()
        try:
            self.work.burst(self._settled())
            self._trouble, self.metrics.pass_seconds = None, self._clock() - now
            if (ended := self._clock()) - now >= _BURST:
                self._throttle.hold("judging", ended + _PAUSE)
        except StateError as error:
            if error.code is not self._trouble:
                self._log.error("%s. Until then it is tried again every %g seconds.", error, _RETRY)
                if error.code is not Reason.IN_USE:  # another orientd at work is no trouble
                    self.hooks.trouble(error)
            self._trouble = error.code
            self._throttle.hold("waiting for the state directory", now + _RETRY)
            if self._taken:  # the files handed out are no longer waited for
                self.arrivals.look_again(now + _RETRY)
        self._worked_at, self._beat_at = self._clock(), now  # photos that could not be read may be those of a disk that is gone

    def _settled(self) -> Iterator[Candidate]:
        """Files as long as there are some that have settled and may be judged, for the time of a burst."""
        end = self._clock() + _BURST
        while not (self._stopping() or self._reload) and (now := self._clock()) < end:
            self.arrivals.collect(now)
            if self._held_back(now)[0]:
                return
            batch = self.arrivals.settled(now, min(_AT_ONCE, self._throttle.rate.granted(now)))
            if not batch:
                return
            self._taken = True
            batch = self.work.untried(batch)
            self._throttle.rate.spend(len(batch))
            self.metrics.waiting = len(self.arrivals)
            yield from batch

    def _change(self, now: float) -> None:
        """Read the configuration again; one that cannot be used leaves everything as it is."""
        self._systemd.reloading()
        try:
            config = self._load()
            check_modes(config)
            for name in _FIXED:
                if getattr(config, name) != getattr(self.config, name):
                    raise ConfigError(f"{name} cannot change while the watcher runs: restart it")
            options = _watch_options(config)
            Exclusion(options.exclude, options.exclude_more)
            self.work.change(config)
        except OrientdError as error:
            self._log.error("the configuration was not reloaded: %s", error)
        else:
            self.config = self.hooks.config = config
            self._throttle.change(config)
            self.arrivals.change(options, now)
            self._log.info("configuration reloaded")
        self._systemd.ready()

    def _on_folder(self) -> None:
        """What the loop does between two turns, for while folders begin to be watched: of a slow disk, that takes minutes."""
        if self._stopping():
            raise Stopped
        if (now := self._clock()) >= self._patience_at:
            self._patience_at = now + _PATIENCE_EVERY
            self._systemd.patience(_PATIENCE)
            self.status.working()


def _watch_options(config: Config) -> WatchOptions:
    return WatchOptions(
        observer=config.observer,
        exclude=config.exclude,
        exclude_more=read_patterns(config.exclude_file),
        one_file_system=config.one_file_system,
        settle=config.settle,
        stalled=config.stalled,
        walk_every=config.walk_every,
        poll_every=config.poll_every,
        room=config.waiting_room,
        wait_for_missing=config.when_missing == "wait",
        sidecars=config.sidecar == "write",
    )
