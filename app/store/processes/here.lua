-- A process is alive. The server's clock counts: those of two hosts may differ.
-- KEYS: the processes of each of its roles. ARGV: the process, after how long a silent one is forgotten (ms).
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
for _, role in ipairs(KEYS) do
  redis.call('ZADD', role, now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', role, '-inf', now - ARGV[2])
end
return now
