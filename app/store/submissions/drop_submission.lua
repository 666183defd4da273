-- Removes a submission that has no jobs here, and whose callback URL has expired. One with jobs goes with the last of
-- them. One that is kept is looked at again later.
-- ARGV: prefix, submission id, now (ms). Returns 1, or 0 if it is kept for now.
local prefix, id, now = ARGV[1], ARGV[2], ARGV[3]
local hash = prefix .. 'submission:' .. id
if tonumber(redis.call('HGET', hash, 'token_expires') or 0) > tonumber(now) then
  redis.call('ZADD', prefix .. 'submissions', 'XX', now, id)
  return 0
end
for job in string.gmatch(redis.call('HGET', hash, 'job_ids') or '', '%S+') do
  if redis.call('EXISTS', prefix .. 'job:' .. job) == 1 then
    redis.call('ZADD', prefix .. 'submissions', 'XX', now, id)
    return 0
  end
end
drop_events_of(prefix, id)
redis.call('DEL', hash, prefix .. 'request:' .. id, prefix .. 'claims:' .. id)
for _, name in ipairs({'submissions', 'lost', 'open'}) do redis.call('ZREM', prefix .. name, id) end
return 1
