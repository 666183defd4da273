-- Notes that a process is alive, by the clock of Redis: the clocks of two hosts may differ.
-- KEYS: the processes of each of its roles. ARGV: the process, and after how long (ms) one that no longer reports is
-- removed.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
for _, role in ipairs(KEYS) do
  redis.call('ZADD', role, now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', role, '-inf', now - ARGV[2])
end
return now
