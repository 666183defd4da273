-- Notes how an endpoint has answered, and when it may be asked next.
-- KEYS[1] what is known of the endpoint.
-- ARGV: what went wrong or '', in how many ms it said to come back (or 0), troubles in a row that begin a pause,
-- 1 where it is in trouble and 0 where it only refused, then the pauses after one such trouble more and more (ms); the
-- last one also holds for all later ones.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local wait, threshold = tonumber(ARGV[2]), tonumber(ARGV[3])
-- The time that an endpoint named itself outlives a success that was under way meanwhile.
local named = math.max(wait > 0 and now + wait or 0, tonumber(redis.call('HGET', KEYS[1], 'named') or 0))
if ARGV[1] == '' then
  redis.call('HSET', KEYS[1], 'failures', 0, 'trouble', 0, 'not_before', named, 'succeeded', now)
  return
end
redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HSET', KEYS[1], 'error', ARGV[1], 'failed', now)
if ARGV[4] == '0' then
  -- An endpoint that refuses is reachable: a back-off would change nothing.
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
