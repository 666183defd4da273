-- Takes what CI said about one or more jobs, all or nothing, in one atomic step:
-- compares it with what is known, writes the job, its indexes, its history and its event.
-- Everything is checked before the first write, because a script has no rollback.
--
-- ARGV[1] prefix, ARGV[2] header (JSON), ARGV[3] the exact bytes (compressed) or '',
-- then for each item: the report (JSON), the report to show while unconfirmed (JSON),
-- the open history entry (JSON without its closing brace).
-- Returns {'ok', outcome, outcome, …} or {'refused', reason} or {'full'}.

local prefix, header, body = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local items, source, now = header.items, header.source, header.now

local function key(...) return prefix .. table.concat({...}, ':') end
local function report_of(i) return ARGV[3 * i + 1] end
local function pending_report_of(i) return ARGV[3 * i + 2] end
local function entry_of(i) return ARGV[3 * i + 3] end

-- ── what is known ───────────────────────────────────────────────────────────

local FIELDS = {'version', 'state', 'rank', 'ended', 'digest', 'source', 'entries', 'idx', 'created', 'verification'}

local function known_job(id)
  local values = redis.call('HMGET', key('job', id), unpack(FIELDS))
  local job = {}
  for n, name in ipairs(FIELDS) do job[name] = values[n] or nil end
  job.exists = job.version ~= nil
  job.rank = tonumber(job.rank or 0)
  job.ended = tonumber(job.ended)
  return job
end

-- ── what it means ───────────────────────────────────────────────────────────

local function decide_poll(item, job)
  if item.digest == job.digest then return 'duplicate' end
  if job.rank == 3 and item.rank < 3 then return 'stale' end
  if item.rank == 0 and job.rank > 0 then return 'stale' end
  return 'accepted'
end

local function decide_callback(item, job, id)
  if redis.call('HEXISTS', key('job', id), 'd:' .. item.digest) == 1 then return 'duplicate' end
  if item.ended and item.state and item.state == job.state and item.ended == job.ended then return 'duplicate' end
  if not item.state then return 'accepted' end
  if item.rank < job.rank then return 'stale' end
  if item.rank == 3 and job.rank == 3 then
    if job.source == 'poll' then return 'stale' end
    if item.ended and (not job.ended or item.ended > job.ended) then return 'accepted' end
    return 'stale'
  end
  return 'accepted'
end

local function decide(item, job)
  if not job.exists then return 'accepted' end
  if source == 'poll' then return decide_poll(item, job) end
  return decide_callback(item, job, item.id)
end

-- ── may it be said at all ───────────────────────────────────────────────────

local submission = header.submission and key('submission', header.submission)
local bound = {}
if submission then
  for id in string.gmatch(redis.call('HGET', submission, 'job_ids') or '', '%S+') do bound[id] = true end
end

local function refusal()
  if header.token and redis.call('SISMEMBER', key('revoked'), header.token) == 1 then return 'revoked_token' end
  if header.bind and source == 'callback' and next(bound) then
    for _, item in ipairs(items) do
      if not bound[item.id] then return 'binding_mismatch' end
    end
  end
end

local reason = refusal()
if reason then return {'refused', reason} end
if redis.call('XLEN', key('events')) >= header.outbox_max then return {'full'} end

-- ── write ───────────────────────────────────────────────────────────────────

local function index(id, job, item)
  local old = job.idx and cjson.decode(job.idx) or {}
  local keep = {}
  for _, name in ipairs(item.idx) do keep[name] = true end
  for _, name in ipairs(old) do
    if not keep[name] then redis.call('ZREM', key('index', name), id) end
  end
  for _, name in ipairs(item.idx) do redis.call('ZADD', key('index', name), job.created, id) end
end

local function remember(id, job, i, outcome, event_id)
  local n = tonumber(job.entries or 0) + 1
  redis.call('HSET', key('job', id), 'entries', n)
  if n > header.history_max then return n end
  local event = event_id and (',"event_id":"' .. event_id .. '"') or ''
  redis.call('RPUSH', key('job', id, 'history'),
    entry_of(i) .. ',"entry":' .. n .. ',"outcome":"' .. outcome .. '"' .. event .. '}')
  if body ~= '' then
    redis.call('HSET', key('job', id, 'raw'), n, body)
    redis.call('ZADD', key('raws'), now, id)
  end
  return n
end

local function announce(i, item, job, entry, version)
  local handlers = (source ~= 'poll' or item.state ~= job.state) and '1' or '0'
  redis.call('XADD', key('events'), '*', 'event_id', item.event_id, 'job_id', item.id, 'kind', source,
    'state', item.state or '', 'tag', item.tag or '', 'version', version,
    'entry', entry, 'at', header.at, 'handlers', handlers, 'report', report_of(i))
end

local function schedule(item, id, rank, ask_now)
  if ask_now then
    redis.call('ZADD', key('due'), 'LT', now, id)
  elseif rank == 3 then
    redis.call('ZREM', key('due'), id)
  elseif item.ask_at and source == 'poll' then
    redis.call('ZADD', key('due'), item.ask_at, id)
  elseif item.ask_at then
    redis.call('ZADD', key('due'), 'NX', item.ask_at, id)
  end
end

local function claim(id)
  if not submission or source == 'poll' then return end
  if source == 'callback' and not next(bound) and redis.call('EXISTS', submission) == 1 then
    redis.call('SADD', submission .. ':claims', id)
  end
  redis.call('HSET', key('job', id), 'submission', header.submission)
end

local function write(i, item, job, outcome)
  local id, hash = item.id, key('job', item.id)
  if not job.created then
    job.created = item.created
    redis.call('ZADD', key('jobs'), job.created, id)
    redis.call('HSET', hash, 'created', job.created)
  end
  claim(id)
  redis.call('ZADD', key('touched'), now, id)

  if header.hold and outcome == 'accepted' then
    -- The news waits for CI's own answer: nothing moves, nothing is announced.
    local fields = {'verification', 'unconfirmed', 'version', tonumber(job.version or 0) + 1, 'updated', header.at}
    if not job.exists then
      for _, v in ipairs({'report', pending_report_of(i), 'rank', 0, 'source', source, 'idx', cjson.encode(item.idx)}) do
        fields[#fields + 1] = v
      end
      index(id, job, item)
    end
    redis.call('HSET', hash, 'd:' .. item.digest, 1, unpack(fields))
    remember(id, job, i, outcome)
    schedule(item, id, 0, true)
    return
  end

  local vague = not item.state and job.exists
  local version = tonumber(job.version or 0) + (vague and 0 or 1)
  local event = outcome == 'accepted' and item.event_id or nil
  local entry = remember(id, job, i, outcome, event)
  redis.call('HSET', hash, 'd:' .. item.digest, 1)
  if outcome == 'accepted' and not vague then
    redis.call('HSET', hash, 'report', report_of(i), 'rank', item.rank, 'digest', item.digest, 'source', source,
      'verification', header.verification, 'version', version, 'updated', header.at,
      'raw_entry', entry .. ':' .. (item.position or 0), 'idx', cjson.encode(item.idx))
    if item.state then redis.call('HSET', hash, 'state', item.state) else redis.call('HDEL', hash, 'state') end
    if item.ended then redis.call('HSET', hash, 'ended', item.ended) else redis.call('HDEL', hash, 'ended') end
    index(id, job, item)
  elseif source == 'poll' and outcome == 'duplicate' then
    redis.call('HSET', hash, 'source', source, 'verification', header.verification)
    if job.verification == 'unconfirmed' then
      redis.call('HSET', hash, 'version', tonumber(job.version) + 1, 'updated', header.at)
    end
  elseif source == 'poll' then
    redis.call('HSET', hash, 'verification', header.verification)
  end
  if event then announce(i, item, job, entry, version) end
  local rank = (outcome == 'accepted' and not vague) and item.rank or job.rank
  schedule(item, id, rank, not item.state and source == 'callback')
end

local answer = {'ok'}
for i, item in ipairs(items) do
  -- One body may speak of the same job twice: the later item must see what the earlier one wrote.
  local job = known_job(item.id)
  local outcome = decide(item, job)
  write(i, item, job, outcome)
  answer[#answer + 1] = outcome
end

-- The answer to our own request names its jobs; it wins over what a callback had claimed before.
if submission and source == 'submit' and redis.call('EXISTS', submission) == 1 then
  local ids, named = {}, {}
  for _, item in ipairs(items) do ids[#ids + 1] = item.id; named[item.id] = true end
  redis.call('HSET', submission, 'job_ids', table.concat(ids, ' '), 'status', 'submitted')
  for _, id in ipairs(redis.call('SMEMBERS', submission .. ':claims')) do
    if not named[id] then
      redis.call('HDEL', key('job', id), 'submission')
      redis.call('HSET', key('job', id), 'verification', 'unconfirmed')
      redis.call('ZADD', key('due'), now, id)
    end
  end
  redis.call('DEL', submission .. ':claims')
  redis.call('ZREM', key('lost'), header.submission)
end
return answer
