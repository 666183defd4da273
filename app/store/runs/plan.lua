-- Makes the runs of one event, one for each handler and endpoint that wants it. Idempotent.
-- Runs are due by the clock of Redis, with which take.lua and start.lua compare: that of the relay may be off.
-- ARGV: prefix, event id, the same as 16 bytes, job id, the same as a member of sorted sets, the job's version at the event, its report (packed), which
-- event it replays or '', what else is kept of the event (JSON), the submission of an event that has no job or '', the
-- event's details (JSON) or '', the id of the request that brought it or '', its trace or '', then for each run: id, endpoint or '', the key of its schedule, where runs of its kind are
-- merged the key of its `burst` or '', and its lane or '' for the default one.
local prefix, event_id, short_id, job_id, member, version, report, replay_of, line, submission, details,
  request, trace = unpack(ARGV, 1, 13)
local now = now_ms()
local job, event, made = prefix .. 'job:' .. job_id, prefix .. 'runs_of:' .. event_id, 0
local owner = submission == '' and job or prefix .. 'submission:' .. submission
-- If the job has been removed, its runs would never be: none is made.
if redis.call('EXISTS', owner) == 0 then return 0 end

local MINUTE_MS = 60000

-- The first run of a burst is due at once. All events within a minute after it are counted by one run, which is due when
-- that minute is over. Returns when this run is due; nil if another run counts its event. Inexact if a relay dies between
-- this call and its acknowledgement: then the event is counted twice.
local function due_in_burst(burst, id)
  local next_at, open_at, open = string.match(redis.call('GET', burst) or '', '^(%d+) (%d+) (.*)$')
  next_at, open_at = tonumber(next_at or 0), tonumber(open_at or 0)
  local counting = open and prefix .. 'runs_of:' .. event_of(open)
  if open_at > now and redis.call('EXISTS', counting) == 1 then
    redis.call('HINCRBY', counting, field_of(open, 'more'), 1)
    return nil
  end
  local due = math.max(now, next_at)
  redis.call('SET', burst, string.format('%.0f %.0f %s', due + MINUTE_MS, due, id),
    'PX', string.format('%.0f', due - now + MINUTE_MS))
  return due
end

for i = 14, #ARGV, 5 do
  local id, endpoint, burst, lane = ARGV[i], ARGV[i + 1], ARGV[i + 3], ARGV[i + 4]
  local is_new = redis.call('HEXISTS', event, field_of(id, 'run')) == 0
  local due = is_new and (burst == '' and now or due_in_burst(burst, id))
  if due then
    redis.call('HSET', event, field_of(id, 'run'), 'waiting 0')
    if lane ~= '' then redis.call('HSET', event, field_of(id, 'lane'), lane) end
    redis.call('ZADD', ARGV[i + 2], due, id)
    if endpoint ~= '' then redis.call('SADD', prefix .. 'endpoints', endpoint) end
    made = made + 1
  end
end
if made == 0 then return 0 end
redis.call('HSET', event, 'job', member, 'line', line)
if details ~= '' then redis.call('HSET', event, 'details', details) end
if request ~= '' then redis.call('HSET', event, 'request', request) end
if trace ~= '' then redis.call('HSET', event, 'trace', trace) end
if submission ~= '' then
  redis.call('HSET', event, 'submission', submission)
  redis.call('HSET', owner, 'e:' .. event_id, 1)
  redis.call('SET', prefix .. 'report_of:' .. event_id, report)
  return made
end
if replay_of ~= '' then redis.call('HSET', event, 'replay_of', replay_of) end
redis.call('HSET', job, 'e:' .. short_id, 1)
-- While the job is as it was at the event, both share the job's report; accept.lua copies it to the event before it
-- replaces it.
local known, shared = unpack(redis.call('HMGET', job, 'version', 'event'))
if known == version and (not shared or shared == short_id) then
  redis.call('HSET', job, 'event', short_id)
else
  redis.call('SET', prefix .. 'report_of:' .. event_id, report)
end
return made
