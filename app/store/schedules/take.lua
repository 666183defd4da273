-- Hands out members of a schedule whose time has come, and puts each off at once: a member belongs to one taker,
-- and comes due again should that taker die.
-- KEYS[1] the schedule, ARGV: how many at most, by how many ms they are put off.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], member) end
return due
