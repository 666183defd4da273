-- Makes the event `overdue` of a job: once for each deadline, and only if the job is unchanged.
-- ARGV: prefix, job id, the deadline (RFC 3339), the job's version, its report (JSON), RFC 3339 now, the event's details
-- (JSON). Returns 1 if an event was made.
local prefix, id, deadline, seen_version, report = unpack(ARGV, 1, 5)
local job = prefix .. 'job:' .. id
local version, rank, announced, state, entries = unpack(
  redis.call('HMGET', job, 'version', 'rank', 'overdue', 'state', 'entries'))
if version ~= seen_version or rank == '3' or announced == deadline then return 0 end
redis.call('HSET', job, 'overdue', deadline)
redis.call('HINCRBY', prefix .. 'answers', 'overdue', 1)
local event = string.sub(redis.sha1hex('overdue ' .. id .. ' ' .. deadline), 1, 32)
add_event(prefix, id, {event_id = event, kind = 'overdue', state = state, tag = tag_of(report), version = version,
  entry = entries, at = ARGV[6], handlers = '0', report = report, details = ARGV[7]})
return 1
