-- Makes a failure of a run that waits and will not be tried again.
-- KEYS[1] the run, KEYS[2] its schedule, KEYS[3] the failures. ARGV: run id, now, why.
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'failed', 'ended', ARGV[2], 'note', ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
return 1
