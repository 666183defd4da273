-- Removes a submission that has no jobs here. One that has goes with the last of them, and is looked at again later.
-- ARGV: prefix, submission id, when to look at it again (ms). Returns 1, or 0 if it is kept for now.
local prefix, id = ARGV[1], ARGV[2]
local hash = prefix .. 'submission:' .. id
for job in string.gmatch(redis.call('HGET', hash, 'job_ids') or '', '%S+') do
  if redis.call('EXISTS', prefix .. 'job:' .. job) == 1 then
    redis.call('ZADD', prefix .. 'submissions', 'XX', ARGV[3], id)
    return 0
  end
end
redis.call('DEL', hash, prefix .. 'claims:' .. id)
for _, name in ipairs({'submissions', 'lost', 'open'}) do redis.call('ZREM', prefix .. name, id) end
return 1
