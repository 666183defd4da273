-- Hands out members of a schedule whose time has come, and puts each off at once: a member belongs to one taker,
-- and comes due again should that taker die.
-- KEYS[1] the schedule, ARGV: now, how many at most, the time they are put off to.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[3], member) end
return due
