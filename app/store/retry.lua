-- Gives a failure new tries. Returns 0 if it is no failure (any more).
-- KEYS[1] the run, KEYS[2] its schedule, KEYS[3] the failures. ARGV: run id, now, due when, the act (JSON).
local state, tries, acts = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries', 'acts'))
if state ~= 'failed' then
  if not state then redis.call('ZREM', KEYS[3], ARGV[1]) end
  return 0
end
acts = acts and string.sub(acts, 1, -2) .. ',' or '['
redis.call('HSET', KEYS[1], 'state', 'waiting', 'forgiven', tries, 'acts', acts .. ARGV[4] .. ']')
redis.call('HDEL', KEYS[1], 'ended', 'note')
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
