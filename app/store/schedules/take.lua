-- Hands out the due members of a schedule, and puts each off in the same step: one caller gets it, and it is due again
-- if that caller dies.
-- KEYS[1] the schedule, ARGV: how many at most, by how many ms they are put off.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], member) end
return due
