-- How many members of a schedule are due, and for how many seconds the oldest has been (text). KEYS[1] the schedule.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {redis.call('ZCOUNT', KEYS[1], '-inf', now), string.format('%.3f', first and math.max(0, now - first) / 1000 or 0)}
