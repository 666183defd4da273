-- Ends one try of a run, if that try still holds the claim.
-- KEYS[1] the run, KEYS[2] the schedule, KEYS[3] the failures.
-- ARGV: run id, now, number of the try, the new state, when to try again (or ''), the try (JSON).
local state, tries = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries'))
if state ~= 'running' or tries ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'try:' .. tries, ARGV[6])
redis.call('HDEL', KEYS[1], 'until')
if ARGV[4] == 'waiting' then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
  return 1
end
redis.call('HSET', KEYS[1], 'ended', ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[4] == 'failed' then redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1]) end
return 1
