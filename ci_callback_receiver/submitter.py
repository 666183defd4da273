"""``app.submitter``, by a name that nothing else has."""

from app.submitter import *  # noqa: F403
from app.submitter import __all__  # noqa: F401
