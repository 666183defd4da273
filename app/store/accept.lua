-- Takes what CI said about one or more jobs, all or nothing, in one atomic step:
-- compares it with what is known, writes the job, its indexes, its history and its event.
-- Everything is checked before the first write, because a script has no rollback.
--
-- ARGV[1] prefix, ARGV[2] header (JSON), ARGV[3] the exact bytes (compressed) or '',
-- then for each item: the report (JSON), the report to show while nothing is certain (JSON) or '',
-- the open history entry (JSON without its closing brace).
-- Returns {'ok', outcome, outcome, …} or {'refused', reason} or {'full', what}.

local prefix, header, body = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local items, source, now = header.items, header.source, header.now

local function key(...) return prefix .. table.concat({...}, ':') end
local function report_of(i) return ARGV[3 * i + 1] end
local function pending_report_of(i) return ARGV[3 * i + 2] end
local function entry_of(i) return ARGV[3 * i + 3] end

-- ── what is known ───────────────────────────────────────────────────────────

local FIELDS = {'version', 'state', 'rank', 'ended', 'digest', 'source', 'polled', 'entries', 'idx', 'created',
  'verification', 'submission', 'raw_entry', 'claim'}

local function known_job(id)
  local values = redis.call('HMGET', key('job', id), unpack(FIELDS))
  local job = {}
  for n, name in ipairs(FIELDS) do job[name] = values[n] or nil end
  job.exists = job.version ~= nil
  job.rank = tonumber(job.rank or 0)
  job.ended = tonumber(job.ended)
  job.polled = tonumber(job.polled or 0)
  return job
end

-- What was heard is marked in the job's hash: each content, and each end, whose wording may vary.
local function marks(item)
  return {'d:' .. item.digest, item.state and item.ended and 'd:' .. item.state .. '@' .. item.ended or nil}
end

local function heard_before(item)
  for _, mark in ipairs(marks(item)) do
    if redis.call('HEXISTS', key('job', item.id), mark) == 1 then return true end
  end
  return false
end

-- ── what it means: an outcome, and whether CI is to be asked at once ─────────
--
-- An ended job beats one that has not; then CI's answer to us beats what came by itself. Of two answers the one that
-- was asked for later counts, of two ends the later one, of two callbacks on the way the further one. So the order in
-- which they arrive does not matter. Where two contradict each other and none of this decides, the first two lines
-- that come to mind would both be guesses: CI is asked.

local function decide_poll(item, job)
  if not item.state then return heard_before(item) and 'duplicate' or 'accepted', false end
  if item.digest == job.digest then return 'duplicate', false end
  if job.rank == 3 and item.rank < 3 then return 'stale', false end
  local as_far = (job.rank == 3) == (item.rank == 3)
  if job.state and job.source == 'poll' and as_far and header.asked < job.polled then return 'stale', false end
  return 'accepted', false
end

local function decide_ends(item, job)
  local differ = item.state ~= job.state
  if job.source == 'poll' then return 'stale', differ end
  if item.ended and (not job.ended or item.ended > job.ended) then return 'accepted', false end
  return 'stale', differ and item.ended == job.ended
end

local function decide_callback(item, job)
  if heard_before(item) then return 'duplicate', false end
  if not item.state then return 'accepted', true end
  if item.rank == 3 and job.rank == 3 then return decide_ends(item, job) end
  if item.rank < 3 and job.rank < 3 and job.source == 'poll' and job.state then
    return 'stale', item.rank >= job.rank
  end
  if item.rank < job.rank then return 'stale', false end
  return 'accepted', job.state and item.rank == job.rank and item.state ~= job.state
end

local function decide(item, job)
  if source == 'poll' then
    if not job.exists then return 'accepted', false end
    return decide_poll(item, job)
  end
  if not job.exists then return 'accepted', not item.state end
  return decide_callback(item, job)
end

-- ── may it be said at all ───────────────────────────────────────────────────

local submission = header.submission and key('submission', header.submission)
local asked_for = submission and redis.call('HMGET', submission, 'submitted_at', 'job_ids') or {}
local is_known = asked_for[1]
local bound = {}
for id in string.gmatch(asked_for[2] or '', '%S+') do bound[id] = true end

-- A token speaks for the jobs of its own submission: those that CI named, or until then those that nobody else has.
local function contradicts_token(id)
  if next(bound) then return not bound[id] end
  local owner = redis.call('HGET', key('job', id), 'submission')
  return owner and owner ~= header.submission
end

local function refusal()
  if header.token and redis.call('SISMEMBER', key('revoked'), header.token) == 1 then return 'revoked_token' end
  if not (header.bind and submission and source == 'callback') then return nil end
  local strangers = 0
  for _, item in ipairs(items) do
    if contradicts_token(item.id) then return 'binding_mismatch' end
    if is_known and not next(bound) and redis.call('SISMEMBER', submission .. ':claims', item.id) == 0 then
      strangers = strangers + 1
    end
  end
  -- One submission has a handful of jobs. More names than this is somebody playing with a leaked URL.
  if strangers > 0 and redis.call('SCARD', submission .. ':claims') + strangers > header.claims_max then
    return 'binding_mismatch'
  end
end

-- Duplicates and the like need no room: they must never be turned away because there is none.
local foreseen = {}
local function is_full()
  local news, strangers = false, false
  for i, item in ipairs(items) do
    local job = known_job(item.id)
    local outcome, ask_now = decide(item, job)
    foreseen[i] = {job, outcome, ask_now}
    if not job.exists then strangers = true end
    if outcome == 'accepted' then news = true end
  end
  if news and redis.call('XLEN', key('events')) >= header.outbox_max then return 'outbox' end
  if strangers and source == 'callback' and redis.call('ZCARD', key('jobs')) >= header.jobs_max then return 'jobs' end
end

local reason = refusal()
if reason then return {'refused', reason} end
local full = is_full()
if full then return {'full', full} end

-- ── write ───────────────────────────────────────────────────────────────────

local function index(id, job, names)
  local old = job.idx and cjson.decode(job.idx) or {}
  local keep = {}
  for _, name in ipairs(names) do keep[name] = true end
  for _, name in ipairs(old) do
    if not keep[name] then redis.call('ZREM', key('index', name), id) end
  end
  for _, name in ipairs(names) do redis.call('ZADD', key('index', name), job.created, id) end
end

-- The history is capped. What comes after that is only counted, but the last line is kept for what changed the job.
local function remember(id, job, i, outcome, event_id)
  local n = tonumber(job.entries or 0) + 1
  local lines, raws = key('job', id, 'history'), key('job', id, 'raw')
  redis.call('HSET', key('job', id), 'entries', n)
  local event = event_id and (',"event_id":' .. cjson.encode(event_id)) or ''
  local line = entry_of(i) .. ',"entry":' .. n .. ',"outcome":"' .. outcome .. '"' .. event .. '}'
  if redis.call('LLEN', lines) < header.history_max then
    redis.call('RPUSH', lines, line)
  elseif outcome == 'accepted' then
    redis.call('HDEL', raws, cjson.decode(redis.call('LINDEX', lines, -1)).entry)
    redis.call('LSET', lines, -1, line)
  else
    return n, false
  end
  if body ~= '' then
    redis.call('HSET', raws, n, body)
    redis.call('ZADD', key('raws'), 'NX', now, id)
  end
  return n, true
end

-- What the event tells of the job: what came in; or, where that says nothing of its state, what is known.
local function announce(i, item, job, entry, version)
  local handlers = (source ~= 'poll' or item.state ~= job.state) and '1' or '0'
  local report = report_of(i)
  if not item.state and job.exists then report = redis.call('HGET', key('job', item.id), 'report') or report end
  redis.call('XADD', key('events'), '*', 'event_id', item.event_id, 'job_id', item.id, 'kind', source,
    'state', item.state or '', 'tag', item.tag or '', 'version', version,
    'entry', entry, 'at', header.at, 'handlers', handlers, 'report', report)
end

-- A doubt lasts until CI's answer settles it, whatever comes by itself meanwhile; an end that is not doubted is final.
local function schedule(item, id, rank, ask_now, outcome)
  local hash = key('job', id)
  if source == 'poll' and item.state and outcome ~= 'stale' then redis.call('HDEL', hash, 'doubt') end
  if ask_now then
    redis.call('HSET', hash, 'doubt', 1)
    redis.call('ZADD', key('due'), 'LT', now, id)
  elseif rank == 3 and redis.call('HEXISTS', hash, 'doubt') == 0 then
    redis.call('ZREM', key('due'), id)
  elseif item.ask_at and source == 'poll' then
    redis.call('ZADD', key('due'), item.ask_at, id)
  elseif item.ask_at then
    redis.call('ZADD', key('due'), 'NX', item.ask_at, id)
  end
end

local function link(i, item, job)
  local id = item.id
  if not submission then return end
  if header.binds then
    redis.call('HSET', key('job', id), 'submission', header.submission)
  elseif source == 'callback' and (not job.submission or job.submission == header.submission) then
    redis.call('HSET', key('job', id), 'submission', header.submission)
    if not next(bound) and is_known then
      redis.call('SADD', submission .. ':claims', id)
      -- What is left of the job, should CI name another one.
      if not job.exists then
        redis.call('HSET', key('job', id), 'claim', cjson.encode({report = pending_report_of(i), idx = item.held_idx}))
      end
      -- Should CI's answer be lost, this is how the job is found: soon.
      redis.call('ZADD', key('lost'), 'XX', 'LT', now + header.claim_ms, header.submission)
    end
  end
end

local function enter(item, job)
  if not job.created then
    job.created = item.created
    redis.call('ZADD', key('jobs'), job.created, item.id)
    redis.call('HSET', key('job', item.id), 'created', job.created)
  end
end

local function mark(item, is_kept)
  -- Past the history's cap contents are no longer told apart, so that no hash grows for ever. What comes twice then
  -- makes the same event twice, and an event of the same id sets off nothing anew.
  if not is_kept then return end
  for _, mark in ipairs(marks(item)) do redis.call('HSET', key('job', item.id), mark, 1) end
end

local function set_or_clear(hash, name, value)
  if value then redis.call('HSET', hash, name, value) else redis.call('HDEL', hash, name) end
end

-- The news waits for CI's own answer: nothing moves, nothing is announced.
local function hold(i, item, job)
  local id, hash = item.id, key('job', item.id)
  redis.call('HSET', hash, 'verification', 'unconfirmed', 'version', tonumber(job.version or 0) + 1,
    'updated', header.at)
  if not job.exists then
    redis.call('HSET', hash, 'report', pending_report_of(i), 'rank', 0, 'source', source,
      'idx', cjson.encode(item.held_idx))
    index(id, job, item.held_idx)
  end
  local _, is_kept = remember(id, job, i, 'accepted')
  mark(item, is_kept)
  schedule(item, id, 0, true, 'accepted')
end

local function replace(i, item, job, entry, version)
  local hash = key('job', item.id)
  redis.call('HSET', hash, 'report', report_of(i), 'rank', item.rank, 'digest', item.digest, 'source', source,
    'verification', header.verification, 'version', version, 'updated', header.at,
    'raw_entry', entry .. ':' .. (item.position or 0), 'idx', cjson.encode(item.idx))
  set_or_clear(hash, 'state', item.state)
  set_or_clear(hash, 'ended', item.ended)
  index(item.id, job, item.idx)
  if job.claim and (source ~= 'callback' or header.submission ~= job.submission) then
    redis.call('HDEL', hash, 'claim')
  end
end

-- CI's own answer, even one that is no news, makes what we know certain.
local function confirm(item, job, outcome)
  local hash = key('job', item.id)
  redis.call('HSET', hash, 'verification', header.verification)
  if outcome ~= 'duplicate' or not item.state then return end
  redis.call('HSET', hash, 'source', source, 'polled', math.max(header.asked, job.polled))
  if job.verification == 'unconfirmed' then
    redis.call('HSET', hash, 'version', tonumber(job.version) + 1, 'updated', header.at)
  end
end

-- So much news of one job is somebody playing with a leaked URL. It no longer moves the job, and sets off no more runs:
-- CI is asked.
local function is_flood(id)
  return source == 'callback' and redis.call('HINCRBY', key('job', id), 'news', 1) > header.news_max
end

local function write(i, item, job, outcome, ask_now)
  local id = item.id
  enter(item, job)
  link(i, item, job)
  if outcome == 'accepted' or not job.exists then redis.call('ZADD', key('touched'), now, id) end
  if outcome == 'accepted' and (header.hold or is_flood(id)) then return hold(i, item, job) end

  local vague = not item.state and job.exists
  local moves = outcome == 'accepted' and not vague
  local version = tonumber(job.version or 0) + (vague and 0 or 1)
  local event = outcome == 'accepted' and item.event_id or nil
  local entry, is_kept = remember(id, job, i, outcome, event)
  mark(item, is_kept)
  if moves then
    replace(i, item, job, entry, version)
    if source == 'poll' then redis.call('HSET', key('job', id), 'polled', header.asked) end
  elseif source == 'poll' then
    confirm(item, job, outcome)
  end
  if event then announce(i, item, job, entry, version) end
  schedule(item, id, moves and item.rank or job.rank, ask_now, outcome)
end

local answer, written = {'ok'}, {}
for i, item in ipairs(items) do
  local job, outcome, ask_now = unpack(foreseen[i])
  if written[item.id] then
    -- One body may speak of the same job twice: the later item must see what the earlier one wrote.
    job = known_job(item.id)
    outcome, ask_now = decide(item, job)
  end
  written[item.id] = true
  write(i, item, job, outcome, ask_now)
  answer[#answer + 1] = outcome
end

-- A job that only this claim told of: the claim was wrong, so nothing that it said is known.
local function forget(id, job)
  local claim, hash = cjson.decode(job.claim), key('job', id)
  redis.call('HSET', hash, 'report', claim.report, 'rank', 0, 'idx', cjson.encode(claim.idx),
    'version', tonumber(job.version) + 1, 'updated', header.at)
  redis.call('HDEL', hash, 'state', 'ended', 'digest', 'raw_entry', 'claim')
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    if string.sub(field, 1, 2) == 'd:' then redis.call('HDEL', hash, field) end
  end
  index(id, job, claim.idx)
end

-- CI itself has named the jobs of our request. That wins over what callbacks had claimed before.
if header.binds and is_known then
  local ids, named = {}, {}
  for _, item in ipairs(items) do
    if not named[item.id] then ids[#ids + 1] = item.id end
    named[item.id] = true
  end
  redis.call('HSET', submission, 'job_ids', table.concat(ids, ' '), 'status', 'submitted')
  redis.call('HDEL', submission, 'error', 'ci')
  for _, id in ipairs(redis.call('SMEMBERS', submission .. ':claims')) do
    local job = known_job(id)
    if named[id] then
      redis.call('HDEL', key('job', id), 'claim')
    else
      if job.claim then forget(id, job) end
      redis.call('HDEL', key('job', id), 'submission')
      redis.call('HSET', key('job', id), 'verification', 'unconfirmed', 'doubt', 1)
      redis.call('ZADD', key('due'), 'LT', now, id)
    end
  end
  if redis.call('HDEL', submission, 'doubted') == 1 then
    for _, id in ipairs(ids) do redis.call('ZADD', key('due'), now, id) end
  end
  redis.call('DEL', submission .. ':claims')
  redis.call('ZREM', key('lost'), header.submission)
end

-- A submission is open until all of its jobs have ended: so long the key that signed its token is needed.
local function close_if_ended(id)
  local ids = redis.call('HGET', key('submission', id), 'job_ids')
  if not ids then return end
  for job_id in string.gmatch(ids, '%S+') do
    if redis.call('HGET', key('job', job_id), 'rank') ~= '3' then return end
  end
  redis.call('ZREM', key('open'), id)
end

local looked = {}
for _, item in ipairs(items) do
  local owner = (item.rank == 3 or header.binds) and redis.call('HGET', key('job', item.id), 'submission')
  if owner and not looked[owner] then
    looked[owner] = true
    close_if_ended(owner)
  end
end
return answer
