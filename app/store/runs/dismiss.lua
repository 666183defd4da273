-- Takes a failure off the list, for a reason that stays with it. Returns 0 if it is no failure (any more).
-- KEYS[1] the run, KEYS[2] the failures. ARGV: run id, the act (JSON).
local state, acts = unpack(redis.call('HMGET', KEYS[1], 'state', 'acts'))
if state ~= 'failed' then
  if not state then redis.call('ZREM', KEYS[2], ARGV[1]) end
  return 0
end
acts = acts and string.sub(acts, 1, -2) .. ',' or '['
redis.call('HSET', KEYS[1], 'state', 'dismissed', 'acts', acts .. ARGV[2] .. ']')
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
