-- Notes that a callback URL is over its limits. CI is asked about what was refused: about the jobs of the URL's
-- submission; for a URL without one, CI's job list is read once when the flood has ended.
-- ARGV: prefix, token fingerprint, submission or '', for how many ms from now the URL is refused, how many ms ago that
-- began. Both may be long ago, because Redis was away.
local prefix, token, submission, refused_ms, since_ms = unpack(ARGV)
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
if submission == '' then
  redis.call('HSETNX', prefix .. 'url:' .. token, 'flood_since', now - since_ms)
  redis.call('ZADD', prefix .. 'flooded', now + refused_ms, token)
  return 0
end
local hash = prefix .. 'submission:' .. submission
local ids = redis.call('HGET', hash, 'job_ids')
if not ids then
  -- CI's answer to the submission, which names the jobs, has not come yet: they are asked about then.
  if redis.call('EXISTS', hash) == 1 then redis.call('HSET', hash, 'doubted', 1) end
  return 0
end
local asked = 0
for id in string.gmatch(ids, '%S+') do
  local job = prefix .. 'job:' .. id
  if redis.call('HEXISTS', job, 'version') == 1 then
    redis.call('HSET', job, 'question', 1)
    redis.call('ZADD', prefix .. 'due', 'LT', now, id)
    asked = asked + 1
  end
end
return asked
