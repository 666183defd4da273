-- How many processes of a role have reported lately, by the clock of Redis.
-- KEYS[1] the processes of a role. ARGV: the longest time (ms) since their last report.
local now = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[1], '+inf')
