-- Notes a refused callback where people will look for it, and has CI asked about the jobs it may have meant.
-- ARGV: prefix, now, the open history entry (JSON without its closing brace), history_max, refusals_max, submission or '',
-- then the ids of jobs that the payload speaks of.
local prefix, now, open_entry, history_max, submission = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6]
local ids = {}
for i = 7, #ARGV do ids[#ids + 1] = ARGV[i] end
if submission ~= '' then
  ids = {}
  for id in string.gmatch(redis.call('HGET', prefix .. 'submission:' .. submission, 'job_ids') or '', '%S+') do
    ids[#ids + 1] = id
  end
end
if submission ~= '' and #ids == 0 then
  -- CI's answer, which names the jobs, is still to come: then they are asked about.
  local key = prefix .. 'submission:' .. submission
  if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'doubted', 1) end
end
for _, id in ipairs(ids) do
  local job = prefix .. 'job:' .. id
  if redis.call('HEXISTS', job, 'version') == 1 then
    local n = redis.call('HINCRBY', job, 'entries', 1)
    if redis.call('LLEN', prefix .. 'history:' .. id) < history_max then
      redis.call('RPUSH', prefix .. 'history:' .. id, open_entry .. ',"entry":' .. n .. '}')
    end
    -- A job that has ended is asked about too: the refused callback may have been the truth.
    redis.call('HSET', job, 'question', 1)
    redis.call('ZADD', prefix .. 'due', 'LT', now, id)
  end
end
redis.call('LPUSH', prefix .. 'refusals', open_entry .. '}')
redis.call('LTRIM', prefix .. 'refusals', 0, ARGV[5] - 1)
return #ids
