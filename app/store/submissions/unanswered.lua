-- Records the end of a submission without an answer. An answer that CI gave after all is never overwritten.
-- KEYS: the submission, the lost ones, the open ones, its claims, the jobs of its day.
-- ARGV: id, status, error, CI's words (JSON) or '', when to search for it (ms from now), how many of its jobs CI certainly
-- does not have, and for one that has failed: prefix, RFC 3339 now, its tag or '', its request in the form of a report
-- (JSON), the event's details (JSON), its labels (JSON).
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'sending' and status ~= 'lost' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'error', ARGV[3])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'ci', ARGV[4]) end
if ARGV[2] == 'failed' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('DEL', KEYS[4])
  if redis.call('EXISTS', KEYS[5]) == 1 then redis.call('DECRBY', KEYS[5], ARGV[6]) end
  local event = string.sub(redis.sha1hex('submission_failed ' .. ARGV[1]), 1, 32)
  -- There is no job: the event belongs to the submission.
  add_event(ARGV[7], '', {event_id = event, submission = ARGV[1], kind = 'submission_failed', tag = ARGV[9],
    version = 0, entry = 0, at = ARGV[8], handlers = '0', report = ARGV[10], details = ARGV[11], labels = ARGV[12]})
else
  local now = redis.call('TIME')
  -- A callback has claimed a job for it: the search will find that.
  local pause = redis.call('EXISTS', KEYS[4]) == 1 and math.min(ARGV[5], 30000) or ARGV[5]
  redis.call('ZADD', KEYS[2], 'XX', now[1] * 1000 + math.floor(now[2] / 1000) + pause, ARGV[1])
end
return 1
