-- CI's own answer has named outputs that waited for it: makes one event of that, for the handler that looks them up.
-- ARGV: prefix, job id, event id, RFC 3339 now, '1' if the answer was an event already, the job's version
-- and, as it was at that, its report (JSON), now (ms).
-- Returns 1 if they had been waiting, -1 if the job has moved on from that version: nothing is changed.
local prefix, id = ARGV[1], ARGV[2]
local job = prefix .. 'job:' .. id
local asked, source = unpack(redis.call('HMGET', job, 'outputs_asked', 'source'))
if source ~= 'poll' then return 0 end
if asked and ARGV[5] ~= '1' and redis.call('HGET', job, 'version') ~= ARGV[6] then return -1 end
redis.call('HDEL', job, 'outputs_asked', 'outputs_unasked')
stamp(prefix, member_of(id))
if not asked or ARGV[5] == '1' then return 0 end
local version = redis.call('HINCRBY', job, 'version', 1)
redis.call('HSET', job, 'updated', ARGV[8])
local report = ARGV[7]
local state, entries = unpack(redis.call('HMGET', job, 'state', 'entries'))
-- Only handlers without a filter by state run for it: the others have run for this state.
add_event(prefix, id, {event_id = ARGV[3], kind = 'poll', state = state, tag = tag_of(report), version = version,
  entry = entries, at = ARGV[4], handlers = '0', report = report})
return 1
