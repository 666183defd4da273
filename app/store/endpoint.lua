-- Notes how an endpoint has answered, and when it may be asked next. Returns its failures in a row.
-- KEYS[1] what is known of the endpoint.
-- ARGV: what went wrong or '', in how many ms it said to come back (or 0), failures in a row that begin a pause,
-- first and longest pause (ms), a random factor.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local wait, threshold = tonumber(ARGV[2]), tonumber(ARGV[3])
-- The time that an endpoint named itself outlives a success that was under way meanwhile.
local named = math.max(wait > 0 and now + wait or 0, tonumber(redis.call('HGET', KEYS[1], 'named') or 0))
if ARGV[1] == '' then
  redis.call('HSET', KEYS[1], 'failures', 0, 'not_before', named, 'succeeded', now)
  return 0
end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if wait > 0 and failures < threshold then
  failures = threshold
  redis.call('HSET', KEYS[1], 'failures', failures)
end
local pause = 0
if failures >= threshold then
  pause = math.min(tonumber(ARGV[4]) * 2 ^ math.min(failures - threshold, 40), tonumber(ARGV[5])) * tonumber(ARGV[6])
end
redis.call('HSET', KEYS[1], 'not_before', math.floor(math.max(named, now + pause)), 'named', named,
  'error', ARGV[1], 'failed', now)
return failures
