"""Media and result of a job are wherever the job is: the API, the history's events, the stream, deliveries,
handlers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.ci.incoming.payload import parse, parse_answer
from app.settings import Settings
from app.store import News, Store
from app.store.packing.packing import pack, unpack
from tests.ci.made.payloads import CASES, job
from tests.ci.samples import event, to_json, xml
from workers.forward.message import message
from workers.testing import event_from

TAGS = ("VoiceSeparate", "QualityEstimate", "WordsGeneralize", "PicProcess", "Snapshot")
EMPTY = {"media": None, "result": None}


def accept(store: Store, body: bytes, source: Any = "callback") -> None:
    details = (parse if source == "callback" else parse_answer)(body).details
    store.acceptor.accept(News(details=details, source=source, verification="token", body=body))


def made(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in EMPTY}


@pytest.mark.parametrize("tag", TAGS)
def test_both_are_served_alike_whichever_source_they_have(
    client: FlaskClient, store: Store, key: dict[str, str], tag: str
) -> None:
    """XML or JSON, a callback or CI's answer; in a list too."""
    accept(store, xml(event(job(tag, JobId="j1"))))
    accept(store, to_json(event(job(tag, JobId="j2"))))
    accept(store, xml({"JobsDetail": job(tag, JobId="j3")}), "poll")
    expected = parse(to_json(event(job(tag)))).details[0].report.to_dict()
    one, two, three = (client.get(f"/v1/jobs/j{n}", headers=key).get_json() for n in (1, 2, 3))
    assert made(one) == made(two) == made(three) == made(expected)
    listed = client.get("/v1/jobs", headers=key).get_json()["jobs"]
    assert [made(each) for each in listed] == [made(expected)] * 3
    assert (one["result"] is not None) == (CASES[tag].kind is not None)


@pytest.mark.parametrize("tag", TAGS)
def test_events_and_deliveries_have_them(store: Store, settings: Settings, tag: str) -> None:
    """As they were at the event."""
    body = to_json(event(job(tag, JobId="j1")))
    expected = made(parse(body).details[0].report.to_dict())
    happened, known = event_from(body)
    assert made(known.model_dump(mode="json")) == expected
    signed, _ = message(happened, known, settings)
    assert made(json.loads(signed)["data"]["job"]) == expected
    accept(store, body)
    entries: Any = store.db.client.xrange(store.db.key("events"))
    assert made(json.loads(entries[-1][1][b"report"])) == expected


def test_a_job_of_an_earlier_release_has_neither(
    client: FlaskClient, store: Store, key: dict[str, str]
) -> None:
    """Its record lacks the fields; nothing has to be migrated."""
    accept(store, to_json(event({"JobId": "j1", "State": "Running", "Tag": "Snapshot"})))
    where = store.db.key("record", "j1")
    redis: Any = store.db.client
    report = unpack(redis.lindex(where, 0))
    earlier = report.replace(b',"media":null,"result":null', b"")
    assert earlier != report
    redis.lset(where, 0, pack(earlier))
    assert made(client.get("/v1/jobs/j1", headers=key).get_json()) == EMPTY
    accept(store, to_json(event(job("WordsGeneralize", JobId="j1", Tag="Snapshot"))))
    assert client.get("/v1/jobs/j1", headers=key).get_json()["state"] == "Success"


def test_the_api_describes_both(client: FlaskClient) -> None:
    """In /openapi.json, by their own names."""
    schemas = client.get("/openapi.json").get_json()["components"]["schemas"]
    assert {"media", "result"} <= schemas["Job"]["properties"].keys()
    assert {"duration_s", "bitrate", "fps"} <= schemas["Media"]["properties"].keys()
    assert schemas["JobResult"]["properties"].keys() == {"kind", "data", "verdict"}
