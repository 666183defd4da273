-- Gives a failure new tries. Returns 0 if it is no failure (any more).
-- KEYS[1] the run, KEYS[2] its schedule, KEYS[3] the failures. ARGV: run id, the act (JSON).
local state, tries, acts = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries', 'acts'))
if state ~= 'failed' then
  if not state then redis.call('ZREM', KEYS[3], ARGV[1]) end
  return 0
end
acts = acts and string.sub(acts, 1, -2) .. ',' or '['
redis.call('HSET', KEYS[1], 'state', 'waiting', 'forgiven', tries, 'acts', acts .. ARGV[2] .. ']')
redis.call('HDEL', KEYS[1], 'ended', 'note')
redis.call('ZREM', KEYS[3], ARGV[1])
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[2], now, ARGV[1])
return 1
