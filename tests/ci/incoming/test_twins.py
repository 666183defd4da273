"""The promise of the normalizer, as properties over generated jobs: one record whatever the dialect, and a raw
view that loses nothing."""

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.ci.incoming.payload import parse
from app.ci.report import Detail
from tests.ci.promises import check
from tests.ci.samples import Dialect, event, to_json, workflow_run, xml

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

# Everything that XML 1.0 can hold, some of it more often: what is awkward in one format or the other.
characters = st.one_of(
    st.sampled_from("<>&'\" \\/\r\n\t${}]0-."),
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
)
scalars = st.one_of(
    st.text(characters, max_size=8),
    st.text(LETTERS, min_size=1, max_size=8),
    st.integers(-3, 10**20).map(str),
    st.decimals(0, 1000, places=3).map(str),
    st.sampled_from(["true", "false", "-", "", "0", "Success", "null", "1e5", "-0", "NaN"]),
)
maybe = st.none() | scalars
names = st.text(LETTERS, min_size=1, max_size=6).map(str.title).map("X{}".format)
keys = st.lists(st.text(LETTERS + "-_.", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)
times = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "+0800") | maybe


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=2, max_size=4)


leaves_and_lists = several(maybe)
trees = several(
    st.dictionaries(
        names, leaves_and_lists | st.dictionaries(names, leaves_and_lists, max_size=2), max_size=2
    )
)
unknown = st.dictionaries(names, leaves_and_lists | trees, max_size=2)


def node(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields, and some unknown ones."""
    return st.tuples(st.fixed_dictionaries({}, optional=fields), unknown).map(
        lambda both: {**both[1], **both[0]}
    )


output_keys = st.one_of(
    keys, keys.map("/{}".format), keys.map("{}.${{ext}}".format), keys.map("${{jobid}}{}".format), maybe
)
files = node(
    Bucket=maybe,
    Region=maybe,
    ObjectPrefix=st.sampled_from([None, "", "out/", "/out/"]),
    ObjectName=several(output_keys),
    Md5Info=several(node(ObjectName=output_keys, Md5=maybe)),
    SpriteOutputFile=node(ObjectName=several(keys), Bucket=maybe),
)
details = st.builds(
    lambda job_id, detail: {"JobId": job_id, **detail},
    st.text(LETTERS, min_size=1, max_size=33),
    node(
        Tag=st.just("VoiceSeparate") | maybe,
        State=st.sampled_from(["Submitted", "Running", "Success", "Failed"]) | maybe,
        Progress=maybe,
        Code=maybe,
        Message=maybe,
        CreationTime=times,
        StartTime=times,
        EndTime=times,
        QueueId=maybe,
        QueueType=maybe,
        Input=node(
            BucketId=maybe,
            Region=maybe,
            Object=maybe,
            Url=maybe,
            CosHeaders=several(node(Key=maybe, Value=maybe)),
        ),
        Workflow=node(RunId=maybe, WorkflowId=maybe, WorkflowName=maybe, Name=maybe),
        Operation=node(
            Tag=maybe,
            UserData=maybe,
            JobLevel=maybe,
            TemplateId=several(maybe),
            TemplateName=maybe,
            Output=node(
                Object=output_keys,
                AuObject=output_keys,
                BassObject=output_keys,
                DrumObject=output_keys,
                Bucket=maybe,
            ),
            MediaResult=node(OutputFile=several(files)),
        ),
    ),
)
dialects = st.builds(
    Dialect,
    seed=st.integers(0, 100),
    shuffle=st.booleans(),
    empty=st.sampled_from(["omit", "node", "text", "dash"]),
    typed=st.booleans(),
    arrays=st.booleans(),
    wrapper=st.booleans(),
    pretty=st.booleans(),
    prolog=st.sampled_from(
        [b"", b'<?xml version="1.0" encoding="utf-8"?>', b"<?xml version='1.0'?><!-- x --><?y z?>"]
    ),
)


def records(details: tuple[Detail, ...]) -> list[bytes]:
    return [detail.report.to_json() for detail in details]


PLAIN, TYPED = (Dialect(seed=0, typed=typed) for typed in (False, True))
NUMBER = {"JobId": "0", "Operation": {"MediaResult": {"OutputFile": {"ObjectName": "0"}}}}


@example(NUMBER, "", PLAIN, TYPED)
@settings(max_examples=150, deadline=None)
@given(several(details), scalars.filter(lambda name: not name.startswith("Review")), dialects, dialects)
def test_the_same_job_gives_the_same_record_in_any_dialect(
    detail: Any, name: str, one: Dialect, other: Dialect
) -> None:
    """XML or JSON, wrapped, arrayed, typed, shuffled, empty or left out: byte for byte the same."""
    body = event(detail, name)
    bodies = [xml(body, one), xml(body, other), to_json(body, one), to_json(body, other)]
    for written in bodies:
        check(written)
    first, *rest = [parse(written) for written in bodies]
    for callback in rest:
        assert records(callback.details) == records(first.details)
        assert [detail.report.digest for detail in callback.details] == [
            one.report.digest for one in first.details
        ]


@settings(max_examples=50, deadline=None)
@given(
    node(State=maybe, CreateTime=times, EndTime=times, BucketId=maybe, Object=maybe, WorkflowId=maybe),
    dialects,
    dialects,
)
def test_the_same_workflow_run_has_the_same_record(fields: Any, one: Dialect, other: Dialect) -> None:
    """The same for WorkflowFinish."""
    body = {"EventName": "WorkflowFinish", "WorkflowExecution": workflow_run(**fields)}
    assert records(parse(xml(body, one)).details) == records(parse(to_json(body, other)).details)


def leaves(value: Any) -> list[str]:
    """All scalars of a tree, as text, in no order."""
    if isinstance(value, dict):
        return sorted(leaf for inner in value.values() for leaf in leaves(inner))
    if isinstance(value, list):
        return sorted(leaf for inner in value for leaf in leaves(inner))
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)] if value is not None and str(value).strip() else []


def fields(value: Any) -> list[str]:
    """All names of a tree, in no order."""
    if isinstance(value, dict):
        return sorted([*value, *(name for inner in value.values() for name in fields(inner))])
    return sorted(name for inner in value for name in fields(inner)) if isinstance(value, list) else []


@settings(max_examples=150, deadline=None)
@given(details, dialects.filter(lambda dialect: dialect.empty != "dash"))
def test_raw_loses_nothing(detail: Any, dialect: Dialect) -> None:
    """Every value that was sent is in the JSON view, every name too, and it can be written as JSON in UTF-8."""
    for body in (xml(event(detail), dialect), to_json(event(detail), dialect)):
        raw = parse(body).details[0].raw
        assert leaves(raw) == leaves(detail)
        assert json.loads(json.dumps(raw, ensure_ascii=False).encode()) == raw
        if dialect.empty != "omit":
            assert set(fields(raw)) == set(fields(detail))


any_text = st.text(st.characters(), max_size=4).map(
    lambda text: re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", text)
)
any_scalar = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text
)
any_json = st.recursive(
    any_scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(any_text, any_json, max_size=4))
def test_raw_of_any_json_is_what_was_sent(fields_sent: dict[str, Any]) -> None:
    """Whatever JSON can say, except what XML cannot hold, and numbers too long for a double (kept as text)."""
    sent = {**fields_sent, "JobId": "j1"}
    raw = parse(json.dumps({"JobsDetail": sent}).encode()).details[0].raw
    if "\\ud" not in json.dumps(sent):
        assert leaves(raw) == leaves(sent)
    json.dumps(raw, ensure_ascii=False).encode()
