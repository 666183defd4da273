-- Notes how an endpoint has answered, and when it may be asked next. Returns its failures in a row.
-- KEYS[1] what is known of the endpoint.
-- ARGV: now, what went wrong or '', the time that it named itself (or 0), failures in a row that begin a pause,
-- first and longest pause (ms), a random factor.
local now, threshold = tonumber(ARGV[1]), tonumber(ARGV[4])
-- The time that an endpoint named itself outlives a success that was under way meanwhile.
local named = math.max(tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[1], 'named') or 0))
if ARGV[2] == '' then
  redis.call('HSET', KEYS[1], 'failures', 0, 'not_before', named, 'succeeded', ARGV[1])
  return 0
end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if tonumber(ARGV[3]) > 0 and failures < threshold then
  failures = threshold
  redis.call('HSET', KEYS[1], 'failures', failures)
end
local pause = 0
if failures >= threshold then
  pause = math.min(tonumber(ARGV[5]) * 2 ^ math.min(failures - threshold, 40), tonumber(ARGV[6])) * tonumber(ARGV[7])
end
redis.call('HSET', KEYS[1], 'not_before', math.floor(math.max(named, now + pause)), 'named', named,
  'error', ARGV[2], 'failed', now)
return failures
