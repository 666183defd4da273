-- Notes what COS says of a job's outputs, if the job still is what was checked and the note says anything new.
-- ARGV: prefix, job id, digest that the checked outputs belong to, the note (JSON), event id, RFC 3339 now, the report
-- of that digest (JSON), now (ms).
-- What was looked at, and when, stands with the tries of the run: the history has no line of its own for it.
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
-- For those who listen; it runs no handlers.
local labels, deadline = asked_with(prefix, redis.call('HGET', job, 'submission'))
redis.call('XADD', prefix .. 'events', '*', 'event_id', ARGV[5], 'job_id', id, 'kind', 'check', 'state', state or '',
  'tag', tag or '', 'version', version, 'entry', entries or 0, 'at', ARGV[6], 'handlers', '0', 'report', report,
  'labels', labels, 'deadline', deadline)
return 1
