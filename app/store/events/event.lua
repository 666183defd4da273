-- Appends one event to the outbox, with every field that docs/streams.md names: readers count on them. Sent behind
-- record.lua, in front of each script that makes an event.

local function text_of(value) return (value and value ~= cjson.null) and value or '' end

local function tag_of(report) return text_of(cjson.decode(report).tag) end

-- Absent where the event has none.
local RARE_FIELDS = {'submission', 'replay_of', 'only', 'details', 'request', 'trace'}

-- `job_id`: '' for an event without a job. `event`: the fields, but for those of its job's submission.
local function add_event(prefix, job_id, event)
  local submission = job_id ~= '' and redis.call('HGET', prefix .. 'job:' .. job_id, 'submission')
  local labels, deadline = asked_with(prefix, submission)
  local words = {'event_id', event.event_id, 'job_id', job_id, 'kind', event.kind, 'state', text_of(event.state),
    'tag', text_of(event.tag), 'version', event.version, 'entry', event.entry or 0, 'at', event.at,
    'handlers', event.handlers, 'report', event.report, 'labels', event.labels or labels, 'deadline', deadline}
  for _, name in ipairs(RARE_FIELDS) do
    if text_of(event[name]) ~= '' then words[#words + 1], words[#words + 2] = name, event[name] end
  end
  redis.call('XADD', prefix .. 'events', '*', unpack(words))
end

