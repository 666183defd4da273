-- A process is alive. The server's clock counts: those of two hosts may differ.
-- KEYS[1] the processes of a role. ARGV: the process, after how long a silent one is forgotten (ms).
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return now
