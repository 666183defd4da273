"""Sending jobs to CI with our own URL as their CallBack. Needs no Flask application:

>>> from app.settings import load
>>> from app.submitter import Submitter, SubmitRequest
>>> receipt = Submitter.open(load()).submit(SubmitRequest.model_validate({...}))  # doctest: +SKIP
"""

from app.ci.broken import BadRequest, Broken
from app.ci.request import AudioConfig, Input, Operation, Output, SubmitRequest, VoiceSeparate
from app.submitter.send import Draft, Receipt, Submitter

__all__ = [
    "AudioConfig",
    "BadRequest",
    "Broken",
    "Draft",
    "Input",
    "Operation",
    "Output",
    "Receipt",
    "SubmitRequest",
    "Submitter",
    "VoiceSeparate",
]
