-- Makes the runs of one event: one for each handler and endpoint that wants it, none twice.
-- ARGV: prefix, now, event id, job id, the event (JSON), its tag or '',
-- then for each run: id, handler, endpoint or '', the key of its schedule.
local prefix, now, event_id, job_id, event, tag = unpack(ARGV, 1, 6)
local made = 0
-- A job that was removed meanwhile wants nothing any more, and would leave runs that nobody removes.
if redis.call('EXISTS', prefix .. 'job:' .. job_id) == 0 then return 0 end
for i = 7, #ARGV, 4 do
  local id, endpoint = ARGV[i], ARGV[i + 2]
  local run = prefix .. 'run:' .. id
  if redis.call('EXISTS', run) == 0 then
    redis.call('HSET', run, 'event_id', event_id, 'job_id', job_id, 'handler', ARGV[i + 1],
      'endpoint', endpoint, 'tag', tag, 'state', 'waiting', 'tries', 0, 'created', now)
    redis.call('ZADD', ARGV[i + 3], now, id)
    redis.call('SADD', prefix .. 'job_runs:' .. job_id, id)
    if endpoint ~= '' then redis.call('SADD', prefix .. 'endpoints', endpoint) end
    made = made + 1
  end
end
if made > 0 then redis.call('SET', prefix .. 'event:' .. event_id, event) end
return made
