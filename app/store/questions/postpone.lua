-- Counts one more question about a job, unless the job is gone: then it leaves nothing behind.
-- KEYS[1] the schedule of questions, KEYS[2] the job. ARGV: job id, in how many ms to ask again (or ''),
-- the job's new deadline (or '').
if redis.call('HEXISTS', KEYS[2], 'version') == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= '' then redis.call('ZADD', KEYS[1], 'XX', now + ARGV[2], ARGV[1]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], 'deadline', ARGV[3]) end
redis.call('HSETNX', KEYS[2], 'asked_since', string.format('%.0f', now))
return redis.call('HINCRBY', KEYS[2], 'asked', 1)
