"""The exception tree and the exit codes.

    OrientdError                 stops the run; carries its exit code
    ├── ConfigError              bad flags, configuration file, environment or plan
    ├── ModelError               the model file is missing, damaged or not understood
    ├── EngineUnavailable        ONNX Runtime or the provider asked for is not there
    ├── StateError               the state directory, or another folder of orientd, cannot be used
    │   └── Busy                 another orientd is at work there
    ├── ReportError              there is no room for the report, or no right to write it
    └── LibraryUnavailable       a root is not mounted or not readable
    PhotoError                   one photo; becomes a row with a reason and its code, never stops a run
    ├── ReadError                the file could not be opened or read whole
    ├── DecodeError              the pixels could not be decoded within the limits
    ├── Refused                  the file must not be written: the reason is not a fault
    │   └── Signed               its content is signed
    └── WriteError               the disk or the verification said no; the old bytes are in place

The two trees are separate on purpose: a handler for one photo can never swallow what must stop the run. `Stopped` is no error.
"""

from enum import IntEnum
from typing import Self

from orientd.reasons import Reason


class ExitCode(IntEnum):
    """The stable interface to scripts and systemd, each with its `meaning`; see docs/scripting.md."""

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> Self:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    OK = 0, "done"
    ERROR = 1, "error"
    USAGE = 2, "wrong usage or configuration"
    INCOMPLETE = 3, "finished, but some photos could not be read or written"
    BUSY = 4, "another orientd is at work there; nothing was changed"
    FOUND = 11, "wrongly turned photos were found (only with --exit-code)"
    NO_WATCHER = 12, "no watcher is running there (only status --check)"
    NO_REPORT = 73, "there is no room for the report, or no right to write it"
    UNAVAILABLE = 75, "a folder is not mounted or not readable"
    INTERRUPTED = 130, "interrupted"


class OrientdError(Exception):
    """Stops the run. The message says what happened and what to do."""

    exit_code = ExitCode.ERROR


class ConfigError(OrientdError):
    exit_code = ExitCode.USAGE


class ModelError(OrientdError):
    pass


class EngineUnavailable(OrientdError):
    pass


class StateError(OrientdError):
    """`code` distinguishes one trouble from another, for a caller that waits until it is over."""

    def __init__(self, message: str, code: Reason = Reason.SYSTEM_ERROR) -> None:
        super().__init__(message)
        self.code = code


class Busy(StateError):
    """Another orientd is at work there: it can be waited for."""

    exit_code = ExitCode.BUSY

    def __init__(self, message: str) -> None:
        super().__init__(message, Reason.IN_USE)


class ReportError(OrientdError):
    exit_code = ExitCode.NO_REPORT


class LibraryUnavailable(OrientdError):
    exit_code = ExitCode.UNAVAILABLE


class Stopped(BaseException):
    """Somebody asked to stop, so nothing new is begun: ends what a thread does, and no handler of errors catches it."""


class PhotoError(Exception):
    """One photo could not be handled; the message is the reason shown to the user, `code` its kind."""

    def __init__(self, code: Reason, message: str) -> None:
        super().__init__(message)
        self.code = code


class ReadError(PhotoError):
    pass


class DecodeError(PhotoError):
    pass


class Refused(PhotoError):
    pass


class Signed(Refused):
    """Its content is signed (C2PA): any change would break the signature."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SIGNED, message)


class WriteError(PhotoError):
    pass


def code_of(error: Exception) -> Reason:
    """The kind of whatever went wrong with one photo, expected or not."""
    if isinstance(error, PhotoError):
        return error.code
    if isinstance(error, MemoryError):
        return Reason.OUT_OF_MEMORY
    return Reason.OUT_OF_TIME if isinstance(error, TimeoutError) else Reason.UNEXPECTED
