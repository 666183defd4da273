-- Makes the runs of one event: one for each handler and endpoint that wants it, none twice.
-- ARGV: prefix, now, event id, the same as 16 bytes, job id, the job's version at the event, its report (packed), which
-- event it replays or '', what else is kept of the event (JSON), then for each run: id, endpoint or '', the key of its
-- schedule.
local prefix, now, event_id, short_id, job_id, version, report, replay_of, line = unpack(ARGV, 1, 9)
local job, event, made = prefix .. 'job:' .. job_id, prefix .. 'runs_of:' .. event_id, 0
-- A job that was removed meanwhile needs no runs, and would leave some that are never removed.
if redis.call('EXISTS', job) == 0 then return 0 end
for i = 10, #ARGV, 3 do
  local id, endpoint = ARGV[i], ARGV[i + 1]
  if redis.call('HSETNX', event, field_of(id, 'run'), 'waiting 0') == 1 then
    redis.call('ZADD', ARGV[i + 2], now, id)
    if endpoint ~= '' then redis.call('SADD', prefix .. 'endpoints', endpoint) end
    made = made + 1
  end
end
if made == 0 then return 0 end
redis.call('HSET', event, 'job', job_id, 'line', line)
if replay_of ~= '' then redis.call('HSET', event, 'replay_of', replay_of) end
redis.call('HSET', job, 'e:' .. short_id, 1)
-- While the job is as it was at the event, its own report is the event's too: accept.lua hands it over when that changes.
local known, shared = unpack(redis.call('HMGET', job, 'version', 'event'))
if known == version and (not shared or shared == short_id) then
  redis.call('HSET', job, 'event', short_id)
else
  redis.call('SET', prefix .. 'report_of:' .. event_id, report)
end
return made
