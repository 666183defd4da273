-- How far a schedule is behind, by the clock of Redis.
-- KEYS[1] the schedule. ARGV: for how many ms a member has to have been due to be counted.
-- Returns how many have, and for how many ms the first member has been due: negative if it is due later. Only the number
-- if the schedule is empty.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {redis.call('ZCOUNT', KEYS[1], '-inf', now - ARGV[1]), first[1] and now - first[2]}
