-- Stores the result of a look-up of a job's outputs, if the job is unchanged and the result is new.
-- ARGV: prefix, job id, digest of the report whose outputs were looked up, the result (JSON), event id, RFC 3339 now,
-- that report (JSON), now (ms).
-- The tries of the run say what was looked up and when; the history has no entry for it.
-- Returns 1 if the record has changed.
local prefix, id = ARGV[1], ARGV[2]
local job = prefix .. 'job:' .. id
local report = ARGV[7]
local digest, old, state, version, entries = unpack(
  redis.call('HMGET', job, 'digest', 'check', 'state', 'version', 'entries'))
if not version or digest ~= ARGV[3] or old == ARGV[4] then return 0 end
version = tonumber(version) + 1
redis.call('HSET', job, 'check', ARGV[4], 'version', version, 'updated', ARGV[8])
stamp(prefix, member_of(id))
-- For listeners of the stream; it runs no handlers.
add_event(prefix, id, {event_id = ARGV[5], kind = 'check', state = state, tag = tag_of(report), version = version,
  entry = entries, at = ARGV[6], handlers = '0', report = report})
return 1
