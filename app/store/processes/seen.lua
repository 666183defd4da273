-- How many processes have lately said that they are alive, by the server's clock.
-- KEYS[1] the processes of a role. ARGV: how long ago that may be (ms).
local now = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[1], '+inf')
