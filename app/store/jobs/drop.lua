-- Removes one job with everything that belongs to it: record, history, raw payloads, runs, events, indexes, schedules,
-- and its submission with the last of its jobs. Idempotent: what is already gone is skipped.
-- ARGV: prefix; job id; '1' to keep a job that has not ended while its callback URL is valid, and, once, a job whose
-- runs have failed or are not over (else ''); now (ms), which becomes the last change of a job that is kept; the time
-- (RFC 3339) since which the URLs of submissions without `token_expires` are still valid; then the values that it is
-- searched by, as forget_values takes them.
-- Returns 0 if it is kept for now, else {1 if it was there, entries, payloads, runs, failures, the id of its submission
-- if that was removed too, else ''}.
local prefix, id, careful, now, valid_since = ARGV[1], ARGV[2], ARGV[3] ~= '', ARGV[4], ARGV[5]
local job = prefix .. 'job:' .. id
local submission, kept, version, rank = unpack(redis.call('HMGET', job, 'submission', 'kept', 'version', 'rank'))
local member = member_of(id)
local record = prefix .. 'record:' .. id

local events, runs = {}, {}
for _, field in ipairs(redis.call('HKEYS', job)) do
  local short = string.match(field, '^e:(.*)')
  if short then events[#events + 1] = to_hex(short) end
end
for _, event in ipairs(events) do
  for _, run in ipairs(runs_in(prefix, event)) do runs[#runs + 1] = run end
end

local function is_over(id)
  local run = read_run(prefix .. 'runs_of:' .. event_of(id), id)
  return not run or run.state == 'done' or run.state == 'dismissed'
end

-- Its end may still come by that URL, and would be refused or unknown without the record.
local function may_be_reported()
  if not submission or rank == '3' then return false end
  local expires, key_id, submitted_at =
    unpack(redis.call('HMGET', prefix .. 'submission:' .. submission, 'token_expires', 'key_id', 'submitted_at'))
  if expires then return tonumber(expires) > tonumber(now) end
  return key_id and key_id ~= '' and (submitted_at or '') > valid_since
end

if careful and may_be_reported() then
  redis.call('ZADD', prefix .. 'touched', 'XX', now, member)
  return 0
end

-- Once for each version: runs of later news may have failed too.
if careful and kept ~= version then
  for _, run in ipairs(runs) do
    if not is_over(run) then
      redis.call('HSET', job, 'kept', version or '')
      redis.call('ZADD', prefix .. 'touched', 'XX', now, member)
      return 0
    end
  end
end

-- The exact bytes expire by themselves; where a person removes the job, they go with it.
local bodies = {}
if not careful then
  for _, entry in ipairs(redis.call('LRANGE', record, 1, -1)) do
    local body = body_named_in(entry)
    if body then bodies[#bodies + 1] = prefix .. 'body:' .. body end
  end
end
local payloads = 0
for _, body in ipairs(bodies) do payloads = payloads + redis.call('DEL', body) end
local removed = {redis.call('EXISTS', job), entries_in(record), payloads, #runs, 0, ''}
for _, event in ipairs(events) do removed[5] = removed[5] + drop_runs(prefix, event, runs_in(prefix, event)) end
local places = redis.call('HGET', job, 'idx') or ''
for n = 1, #INDEXES do
  local index = index_at(places, n)
  if index then redis.call('ZREM', prefix .. index, member) end
end
for _, index in ipairs(label_indexes(redis.call('HGET', job, 'labels'))) do redis.call('ZREM', prefix .. index, member) end
for _, name in ipairs({'jobs', 'touched'}) do redis.call('ZREM', prefix .. name, member) end
redis.call('ZREM', prefix .. 'due', id)
redis.call('DEL', job, record)
forget_values(prefix, 6)

if submission then
  local hash = prefix .. 'submission:' .. submission
  redis.call('SREM', prefix .. 'claims:' .. submission, id)
  local named = redis.call('HGET', hash, 'job_ids')
  if not named then return removed end
  for other in string.gmatch(named, '%S+') do
    if redis.call('EXISTS', prefix .. 'job:' .. other) == 1 then
      -- Jobs of a submission that lost their record are asked for again; `dropped` excludes those removed here.
      redis.call('HSET', hash, 'dropped', (redis.call('HGET', hash, 'dropped') or '') .. ' ' .. id)
      return removed
    end
  end
  removed[6] = submission
  drop_events_of(prefix, submission)
  redis.call('DEL', hash, prefix .. 'request:' .. submission, prefix .. 'claims:' .. submission)
  for _, name in ipairs({'submissions', 'lost', 'open'}) do redis.call('ZREM', prefix .. name, submission) end
end
return removed
