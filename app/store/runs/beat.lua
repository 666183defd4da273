-- Prolongs the claim of a try that is still at it. Returns 0 where the claim was lost.
-- KEYS[1] the run, KEYS[2] the schedule. ARGV: run id, number of the try, for how long the claim holds (ms).
local state, tries = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries'))
if state ~= 'running' or tries ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
local held_until = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], 'until', held_until)
redis.call('ZADD', KEYS[2], held_until, ARGV[1])
return 1
