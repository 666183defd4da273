-- Makes a failure of a run that waits and will not be tried again.
-- KEYS[1] the run, KEYS[2] its schedule, KEYS[3] the failures. ARGV: run id, why.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'failed', 'ended', now, 'note', ARGV[2])
redis.call('ZADD', KEYS[3], now, ARGV[1])
return 1
