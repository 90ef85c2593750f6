"""orientd finds photos that are displayed sideways or upside down, and fixes them.

For programs that embed it (`docs/api.md`): what `__all__` names comes with its first use, so that importing costs nothing.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = [
    "Applied",
    "Change",
    "Detector",
    "Evidence",
    "Judgment",
    "Method",
    "Reason",
    "Source",
    "Status",
    "Verdict",
    "__version__",
    "apply_change",
    "errors",
    "plan_change",
]

# From 1.29 on ONNX Runtime reports every model that is loaded to Microsoft unless this is set before; orientd reports nothing.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("orientd.errors") if name == "errors" else getattr(import_module("orientd.api"), name)


def __dir__() -> list[str]:
    return [*__all__]
