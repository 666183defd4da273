-- Makes the runs of one event: one for each handler that wants it, none twice.
-- ARGV: prefix, now, event id, job id, the event (JSON), then for each run: id, handler, endpoint or ''.
local prefix, now, event_id, job_id, event = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local made = 0
for i = 6, #ARGV, 3 do
  local id = ARGV[i]
  local run = prefix .. 'run:' .. id
  if redis.call('EXISTS', run) == 0 then
    redis.call('HSET', run, 'event_id', event_id, 'job_id', job_id, 'handler', ARGV[i + 1],
      'endpoint', ARGV[i + 2], 'state', 'waiting', 'tries', 0, 'created', now)
    redis.call('ZADD', prefix .. 'runs', now, id)
    redis.call('SADD', prefix .. 'job:' .. job_id .. ':runs', id)
    made = made + 1
  end
end
if made > 0 then redis.call('SET', prefix .. 'event:' .. event_id, event) end
return made
