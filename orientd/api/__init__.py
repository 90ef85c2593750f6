"""What other programs may build on: see `docs/api.md`. `orientd` itself gives each of these names; nothing else is public."""

from orientd.api.changes import Applied, Change, apply_change, plan_change
from orientd.api.detector import Detector, Judgment, Source
from orientd.reasons import Reason
from orientd.records import Evidence, Method, Status, Verdict

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
    "apply_change",
    "plan_change",
]
