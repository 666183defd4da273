-- Notes how an endpoint has answered, and when it may get the next delivery.
-- KEYS[1] the endpoint's record.
-- ARGV: the error or '', its Retry-After (ms, or 0), failures in a row that begin a pause, 1 for such a failure and 0
-- for a mere refusal, then the pauses (ms): the first after that many failures in a row, the next after one more; the
-- last one is used from there on.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local wait, threshold = tonumber(ARGV[2]), tonumber(ARGV[3])
-- The endpoint's own Retry-After stays in force after a success that was already under way.
local named = math.max(wait > 0 and now + wait or 0, tonumber(redis.call('HGET', KEYS[1], 'named') or 0))
if ARGV[1] == '' then
  redis.call('HSET', KEYS[1], 'failures', 0, 'trouble', 0, 'not_before', named, 'succeeded', now)
  return
end
redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HSET', KEYS[1], 'error', ARGV[1], 'failed', now)
if ARGV[4] == '0' then
  -- An endpoint that refuses is reachable: a pause would change nothing.
  redis.call('HSET', KEYS[1], 'trouble', 0, 'not_before', named)
  return
end
local trouble = redis.call('HINCRBY', KEYS[1], 'trouble', 1)
if wait > 0 and trouble < threshold then
  trouble = threshold
  redis.call('HSET', KEYS[1], 'trouble', trouble)
end
local pause = 0
if trouble >= threshold then
  pause = tonumber(ARGV[math.min(5 + trouble - threshold, #ARGV)])
end
redis.call('HSET', KEYS[1], 'not_before', math.floor(math.max(named, now + pause)), 'named', named)
