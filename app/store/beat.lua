-- Prolongs the claim of a try that is still at it. Returns 0 where the claim was lost.
-- KEYS[1] the run, KEYS[2] the schedule. ARGV: run id, number of the try, until when the claim holds.
local state, tries = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries'))
if state ~= 'running' or tries ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'until', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
