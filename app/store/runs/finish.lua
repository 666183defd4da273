-- Ends one try of a run, if that try still holds the claim.
-- KEYS[1] the run, KEYS[2] the schedule, KEYS[3] the failures.
-- ARGV: run id, number of the try, the new state, in how many ms to try again, the try (JSON).
local state, tries = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries'))
if state ~= 'running' or tries ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'try:' .. tries, ARGV[5])
redis.call('HDEL', KEYS[1], 'until')
if ARGV[3] == 'waiting' then
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
  return 1
end
redis.call('HSET', KEYS[1], 'ended', now)
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] == 'failed' then redis.call('ZADD', KEYS[3], now, ARGV[1]) end
return 1
