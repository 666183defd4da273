"""Asking CI, so that a callback that is lost, forged or late does no harm. The relay runs the loops; commands and the
API call ``refresh`` and ``cancel``.

| module | what it does |
| --- | --- |
| ``places`` | which bucket and region CI is asked about a job, and whether it may be asked at all |
| ``describe`` | ask CI about jobs (``GET /jobs/<ids>``) and accept its answer |
| ``due_jobs`` | loop: ask about jobs past their deadline, in doubt, or without a callback URL |
| ``find_lost``, ``lost_submissions`` | which jobs are those of a submission whose answer was lost; the search loop |
| ``missing_records`` | loop: jobs of ours whose record Redis has lost are restored |
| ``job_list``, ``floods`` | read CI's job list; the loop that does so after a callback URL exceeded its limits |
"""

from app.reconcile.describe import UnknownToCi, ask, cancel, refresh
from app.reconcile.places import reason_not_askable

__all__ = ["UnknownToCi", "ask", "cancel", "reason_not_askable", "refresh"]
