-- Sets when a member of a schedule is due. By the clock of Redis, with which take.lua compares: those of processes differ.
-- KEYS[1] the schedule. ARGV: the member, in how many ms, and which of ZADD's conditions applies (LT, XX).
local now = redis.call('TIME')
redis.call('ZADD', KEYS[1], ARGV[3], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
