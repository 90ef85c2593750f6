from orientd import errors as errors
from orientd.api import Applied as Applied
from orientd.api import Change as Change
from orientd.api import Detector as Detector
from orientd.api import Evidence as Evidence
from orientd.api import Judgment as Judgment
from orientd.api import Method as Method
from orientd.api import Reason as Reason
from orientd.api import Source as Source
from orientd.api import Status as Status
from orientd.api import Verdict as Verdict
from orientd.api import apply_change as apply_change
from orientd.api import plan_change as plan_change

__version__: str
