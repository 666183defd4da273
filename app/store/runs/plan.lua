-- Makes the runs of one event: one for each handler and endpoint that wants it, none twice.
-- ARGV: prefix, now, event id, job id, the job's version at the event, the event without its report (one line of JSON),
-- the report (packed), its tag or '', then for each run: id, endpoint or '', the key of its schedule.
local prefix, now, event_id, job_id, version, event, report, tag = unpack(ARGV, 1, 8)
local job, made = prefix .. 'job:' .. job_id, 0
-- A job that was removed meanwhile needs no runs, and would leave some that are never removed.
if redis.call('EXISTS', job) == 0 then return 0 end
for i = 9, #ARGV, 3 do
  local id, endpoint = ARGV[i], ARGV[i + 1]
  local run = prefix .. 'run:' .. id
  if redis.call('EXISTS', run) == 0 then
    redis.call('HSET', run, 'job_id', job_id, 'tag', tag, 'state', 'waiting', 'tries', 0)
    redis.call('ZADD', ARGV[i + 2], now, id)
    redis.call('SADD', prefix .. 'job_runs:' .. job_id, id)
    if endpoint ~= '' then redis.call('SADD', prefix .. 'endpoints', endpoint) end
    made = made + 1
  end
end
if made == 0 then return 0 end
-- While the job is as it was at the event, its own report is the event's too: accept.lua hands it over when that changes.
local known, shared = unpack(redis.call('HMGET', job, 'version', 'event'))
if known == version and (not shared or shared == event_id) then
  redis.call('HSET', job, 'event', event_id)
  report = ''
end
if redis.call('EXISTS', prefix .. 'event:' .. event_id) == 0 or report ~= '' then
  redis.call('SET', prefix .. 'event:' .. event_id, event .. '\n' .. report)
end
return made
