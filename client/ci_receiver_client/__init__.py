"""A typed client of the CI callback receiver: submit, wait, get, list, replay, stream events, verify deliveries."""

from ci_receiver_client.asynchronous import AsyncClient
from ci_receiver_client.calls import Filters
from ci_receiver_client.client import Client
from ci_receiver_client.deliveries import verify
from ci_receiver_client.documents import (
    Delivery,
    Doubt,
    Gap,
    Input,
    Job,
    Media,
    Output,
    Receipt,
    Replay,
    Result,
    StreamEvent,
    Submission,
    Submitted,
    Template,
    Verdict,
    Warned,
    Workflow,
)
from ci_receiver_client.errors import (
    BadDelivery,
    NotEnded,
    Problem,
    ReceiverError,
    UnexpectedAnswer,
    Unreachable,
)

__all__ = [
    "AsyncClient",
    "BadDelivery",
    "Client",
    "Delivery",
    "Doubt",
    "Filters",
    "Gap",
    "Input",
    "Job",
    "Media",
    "NotEnded",
    "Output",
    "Problem",
    "Receipt",
    "ReceiverError",
    "Replay",
    "Result",
    "StreamEvent",
    "Submission",
    "Submitted",
    "Template",
    "UnexpectedAnswer",
    "Unreachable",
    "Verdict",
    "Warned",
    "Workflow",
    "verify",
]
