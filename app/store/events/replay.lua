-- Repeats a job's latest news as an event with its own id, and adds an entry to the job's history.
-- ARGV: prefix, job id, id of the new event, id of the event that it replays, RFC 3339 now, history_max, outbox_max,
-- the rest of the history entry (JSON, packed), the job's version, its report at that version (JSON), the only
-- handler or endpoint that it is for, or '', the id of the request that asked for it, and its traceparent or ''.
-- Returns 'ok', 'gone' (no such job, or nothing is known of it yet), 'moved' (the job has another version) or 'full'.
local prefix, id = ARGV[1], ARGV[2]
local job, events = prefix .. 'job:' .. id, prefix .. 'events'
local report = ARGV[10]
local digest, state, version = unpack(redis.call('HMGET', job, 'digest', 'state', 'version'))
if not version or not digest then return 'gone' end
if version ~= ARGV[9] then return 'moved' end
if redis.call('XLEN', events) >= tonumber(ARGV[7]) then return 'full' end
local n = redis.call('HINCRBY', job, 'entries', 1)
local record = prefix .. 'record:' .. id
if n <= tonumber(ARGV[6]) then
  open_record(record, '')
  redis.call('RPUSH', record, part('n', tostring(n)) .. part('o', 'a') .. part('e', from_hex(ARGV[3])) .. 'j' .. ARGV[8])
end
add_event(prefix, id, {event_id = ARGV[3], kind = 'replay', state = state, tag = tag_of(report), version = version,
  entry = n, at = ARGV[5], handlers = '1', report = report, replay_of = ARGV[4], only = ARGV[11], request = ARGV[12],
  trace = ARGV[13]})
return 'ok'
