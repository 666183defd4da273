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
local tag = cjson.decode(report).tag
if tag == cjson.null then tag = '' end
-- For listeners of the stream; it runs no handlers.
local labels, deadline = asked_with(prefix, redis.call('HGET', job, 'submission'))
redis.call('XADD', prefix .. 'events', '*', 'event_id', ARGV[5], 'job_id', id, 'kind', 'check', 'state', state or '',
  'tag', tag or '', 'version', version, 'entry', entries or 0, 'at', ARGV[6], 'handlers', '0', 'report', report,
  'labels', labels, 'deadline', deadline)
return 1
