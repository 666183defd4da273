-- Counts one more question about a job; does nothing if the job was removed.
-- ARGV: prefix, job id, in how many ms to ask again (or ''), in how many ms the job is overdue, unless its submission says
-- how long its silence may last (or '': its deadline stays).
local prefix, id = ARGV[1], ARGV[2]
local job = prefix .. 'job:' .. id
local version, submission = unpack(redis.call('HMGET', job, 'version', 'submission'))
if not version then
  redis.call('ZREM', prefix .. 'due', id)
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function patience()
  if not submission then return ARGV[4] end
  local own = redis.call('HGET', prefix .. 'submission:' .. submission, 'patience')
  return own or ARGV[4]
end

if ARGV[3] ~= '' then redis.call('ZADD', prefix .. 'due', 'XX', now + ARGV[3], id) end
if ARGV[4] ~= '' then
  redis.call('HSET', job, 'deadline', string.format('%.0f', now + patience()))
  stamp(prefix, member_of(id))
end
redis.call('HSETNX', job, 'asked_since', string.format('%.0f', now))
return redis.call('HINCRBY', job, 'asked', 1)
