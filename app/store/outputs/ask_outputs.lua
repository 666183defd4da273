-- Schedules a question to CI about a job whose outputs only a callback named, unless CI has confirmed them by now.
-- ARGV: prefix, job id, digest of the report that names them, in how many ms to ask.
-- Returns 1 if CI has confirmed them, -1 if the job has moved on, else 0.
local prefix, id = ARGV[1], ARGV[2]
local job = prefix .. 'job:' .. id
local digest, source = unpack(redis.call('HMGET', job, 'digest', 'source'))
if digest ~= ARGV[3] then return -1 end
if source == 'poll' then return 1 end
redis.call('HSET', job, 'outputs_asked', 1, 'question', 1)
local now = redis.call('TIME')
redis.call('ZADD', prefix .. 'due', 'LT', now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[4], id)
return 0
