-- Stores CI's report about one or more jobs, all or nothing, in one atomic step:
-- compares it with what is known (record.lua, event.lua and decide.lua are in front of this file), writes the job, its indexes, its history and its
-- event. Everything is checked before the first write, types too, because a script has no rollback.
--
-- ARGV[1] prefix, ARGV[2] header (JSON), ARGV[3] the exact bytes (compressed) or '',
-- then for each item: the report (JSON), the same packed, the report to show while nothing is certain (JSON) or '',
-- the rest of the history entry (JSON, packed), the report that is known (JSON) or '', the event's id (16 bytes) and behind
-- it the job as a member of sorted sets.
-- Returns {'ok', outcome, outcome, …}, {'new', at, outcome, …} where CI's answer to a submission names only jobs that were
-- not known: all that is stored of them is in that answer; {'refused', reason}, {'full', what}, {'limited', seconds until it is not},
-- {'schema', version found or ''}, or {'uncertain'}: the reports to show while nothing is certain are needed, or those
-- that are known, read at the `known` version of each item, because an event is to repeat them.

local prefix, header, body = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local items, source, now = header.items, header.source, header.now
local runs_max = header.limit and header.limit.runs or header.runs_max
-- An answer of CI or a decision of a person: it settles doubts.
local is_answer = source == 'poll' or source == 'settle'

local function key(kind, id) return prefix .. kind .. (id and ':' .. id or '') end
local function report_of(i) return ARGV[6 * i - 2] end
local function packed_report_of(i) return ARGV[6 * i - 1] end
local function pending_report_of(i) return ARGV[6 * i] end
local function entry_of(i) return ARGV[6 * i + 1] end
local function known_report_of(i) return ARGV[6 * i + 2] end
-- They arrive as bytes: converting hex digits is slow in a script.
for i, item in ipairs(items) do
  local short = ARGV[6 * i + 3]
  item.short_event, item.member = string.sub(short, 1, 16), string.sub(short, 17)
end

-- The clock of Redis, which all hosts share: for what is compared with it, or with what another host wrote. `now` is that of
-- the caller, for what people read.
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)

-- ── may this release write here ─────────────────────────────────────────────

local schema = redis.call('HGET', key('schema'), 'version')
-- Without jobs no migration is needed: a new Redis, or one that lost its data.
if schema ~= header.schema and (schema or redis.call('EXISTS', key('jobs')) == 1) then return {'schema', schema or ''} end

-- ── what is known ───────────────────────────────────────────────────────────

local FIELDS = {'version', 'state', 'rank', 'ended', 'digest', 'source', 'polled', 'entries', 'created',
  'verification', 'submission', 'claim', 'doubt', 'held', 'news', 'event', 'idx', 'labels'}

local function known_job(id)
  local values = redis.call('HMGET', key('job', id), unpack(FIELDS))
  local job = {}
  for n, name in ipairs(FIELDS) do job[name] = values[n] or nil end
  job.exists = job.version ~= nil
  job.rank = tonumber(job.rank or 0)
  job.ended = tonumber(job.ended)
  job.polled = tonumber(job.polled or 0)
  job.news = tonumber(job.news or 0)
  return job
end

-- The job's hash remembers each content that was reported, and each end, because its wording may vary.
local function heard_before(item)
  for _, content in ipairs(item.seen) do
    if redis.call('HEXISTS', key('job', item.id), 'd:' .. content) == 1 then return true end
  end
  return false
end

-- ── who reports it ──────────────────────────────────────────────────────────

local submission = header.submission and key('submission', header.submission)
local claims = header.submission and key('claims', header.submission)
local asked_for = submission and redis.call('HMGET', submission, 'submitted_at', 'job_ids', 'places', 'labels_json') or {}
local is_known = asked_for[1]
local bound = {}
for id in string.gmatch(asked_for[2] or '', '%S+') do bound[id] = true end

-- A URL without a submission does not speak for a job that has a callback URL of its own.
local function has_own_url(job)
  if not job.submission then return false end
  local status, callback = unpack(redis.call('HMGET', key('submission', job.submission), 'status', 'callback'))
  return status and (callback or 'own') == 'own'
end

local function doubtful_sender(job)
  if source ~= 'callback' or not header.bind then return nil end
  if submission then return not is_known and 'unknown_submission' or nil end
  return has_own_url(job) and 'foreign_url' or nil
end

local function decide(item, job)
  job.heard = job.exists and heard_before(item)
  if source == 'callback' then return decide_callback(item, job, clock, doubtful_sender(job)) end
  if source == 'settle' then return header.keeps_known and 'duplicate' or 'accepted' end
  if job.heard and source == 'submit' then return 'duplicate' end
  if source == 'submit' then return decide_by_rank(item, job) end
  return job.exists and decide_poll(item, job, header.asked) or 'accepted'
end

-- A token speaks for the jobs of its own submission: those that CI named, or until then those that no other submission has.
local function contradicts_token(id)
  if next(bound) then return not bound[id] end
  local owner = redis.call('HGET', key('job', id), 'submission')
  return owner and owner ~= header.submission
end

-- Whether the job has changed since the person saw it, by CI's answer or by another person's decision.
local function has_moved()
  return source == 'settle' and redis.call('HGET', key('job', items[1].id), 'version') ~= header.seen_version
end

local function refusal()
  if has_moved() then return 'job_has_moved' end
  if header.token and redis.call('SISMEMBER', key('revoked'), header.token) == 1 then return 'revoked_token' end
  if not (header.bind and submission and source == 'callback') then return nil end
  local strangers = 0
  for _, item in ipairs(items) do
    if contradicts_token(item.id) then return 'binding_mismatch' end
    if not next(bound) and redis.call('SISMEMBER', claims, item.id) == 0 then strangers = strangers + 1 end
  end
  -- One submission has a handful of jobs. More names than this mean that a leaked URL is abused.
  if strangers > 0 and redis.call('SCARD', claims) + strangers > header.claims_max then return 'binding_mismatch' end
end

-- ── what one URL may cost ───────────────────────────────────────────────────

-- The counters of a submission's URL are in the submission's hash, those of any other URL in a hash of its own.
local usage = is_known and submission or (header.token and key('url', header.token))
local minute = math.floor(clock / 60000)
local used = {count = 0, bytes = 0, kept = 0}

local function seconds_over_limit()
  local limit = header.limit
  if not (limit and usage) then return nil end
  local counted = redis.call('HGET', usage, 'usage') or '0 0 0 0'
  local since, count, bytes, kept = string.match(counted, '(%d+) (%d+) (%d+) (%d+)')
  if tonumber(since) == minute then used.count, used.bytes = tonumber(count), tonumber(bytes) end
  used.kept = tonumber(kept)
  -- The same body again is a duplicate, and takes no memory.
  local is_new = not header.body or redis.call('EXISTS', key('body', header.body)) == 0
  local size = is_new and header.size or 0
  if used.count + 1 > limit.per_minute or used.bytes + size > (limit.bytes_per_minute or math.huge) then
    return 60 - math.floor(clock / 1000) % 60
  end
  if used.kept + size > (limit.bytes or math.huge) then return 3600 end
  used.count, used.bytes, used.kept = used.count + 1, used.bytes + size, used.kept + size
end

-- ── is there room ───────────────────────────────────────────────────────────

-- Indexes that have jobs already: their values are in `values`.
local is_searched = {}

-- Read each key by a command of its type: a key of another type fails the script here, before anything is written.
local function check_types(foreseen)
  for _, kind in ipairs({'jobs', 'touched', 'due', 'lost', 'open', 'urls', 'values'}) do redis.call('ZCARD', key(kind)) end
  for i, item in ipairs(items) do
    redis.call('LLEN', key('record', item.id))
    for _, places in ipairs({item.idx, item.held_idx}) do
      -- Where the job stands already, nothing is written: most often a duplicate.
      for n = 1, places == foreseen[i].job.idx and 0 or #INDEXES do
        local index = index_at(places, n)
        if index then is_searched[index] = redis.call('ZCARD', prefix .. index) > 0 end
      end
    end
    for _, index in ipairs(label_indexes(asked_for[3])) do redis.call('ZCARD', prefix .. index) end
  end
  if claims then redis.call('SCARD', claims) end
  if usage then redis.call('HLEN', usage) end
end

-- Duplicates and the like need no memory: a full store must not refuse them.
local function what_is_full(foreseen)
  local news, strangers = false, false
  for _, each in ipairs(foreseen) do
    if not each.job.exists then strangers = true end
    if each.outcome == 'accepted' or each.doubt then news = true end
  end
  if news and redis.call('XLEN', key('events')) >= header.outbox_max then return 'outbox' end
  if strangers and source == 'callback' and redis.call('ZCARD', key('jobs')) >= header.jobs_max then return 'jobs' end
end

local function foresee(i, item)
  local job = known_job(item.id)
  local outcome, ask, doubt = decide(item, job)
  return {job = job, outcome = outcome, ask = ask, doubt = doubt}
end

local reason = refusal()
if reason then return {'refused', reason} end
local wait = seconds_over_limit()
if wait then return {'limited', tostring(wait)} end
local foreseen = {}
for i, item in ipairs(items) do foreseen[i] = foresee(i, item) end
local full = what_is_full(foreseen)
if full then return {'full', full} end
-- What an event says of the job where the news itself does not: what is known.
local function repeats_known(item, each)
  local is_event = each.outcome == 'accepted' or each.job.held
  return each.job.exists and (each.doubt or (is_event and not item.state))
end

-- The reports that this call has stored, by job: one body may report a job twice.
local stored = {}
local function known_report(i, id) return stored[id] or known_report_of(i) end

for i, each in ipairs(foreseen) do
  local needs_pending = each.doubt and not each.job.exists
  if needs_pending and pending_report_of(i) == '' then return {'uncertain'} end
  if repeats_known(items[i], each) and items[i].known ~= each.job.version then return {'uncertain'} end
end
check_types(foreseen)

-- ── write ───────────────────────────────────────────────────────────────────

-- `words`: for each index the value, '' for one that is not searched for.
local function index(id, member, job, places, words)
  local known = job.idx or ''
  if places == known then return end
  local values = job.exists and {} or {0, 'j' .. member}
  for n = 1, #INDEXES do
    local old, new = index_at(known, n), index_at(places, n)
    if old ~= new then
      if old then redis.call('ZREM', prefix .. old, member) end
      if new then redis.call('ZADD', prefix .. new, job.created, member) end
      if new and words[n] ~= '' and not is_searched[new] then
        values[#values + 1] = 0
        values[#values + 1] = n .. words[n]
      end
    end
  end
  if values[1] then redis.call('ZADD', key('values'), unpack(values)) end
  redis.call('HSET', key('job', id), 'idx', places)
end

-- An event that still has runs shares the report of its job. Before that is replaced, the event gets a copy.
local function store_report(id, job, packed)
  local record = key('record', id)
  if job.event then
    local event = to_hex(job.event)
    if redis.call('EXISTS', key('runs_of', event)) == 1 then
      redis.call('SET', key('report_of', event), redis.call('LINDEX', record, 0))
    end
    redis.call('HDEL', key('job', id), 'event')
  end
  if job.first ~= packed then redis.call('LSET', record, 0, packed) end
end

local keeps_body = false

-- The history is capped. Later entries are only counted, except those that changed the job or record a person's decision:
-- these replace the last one.
local function remember(id, job, i, outcome, short_event, doubt)
  local n = tonumber(job.entries or 0) + 1
  local record = key('record', id)
  redis.call('HSET', key('job', id), 'entries', n)
  local entry = part('n', tostring(n)) .. part('o', string.sub(outcome, 1, 1)) .. part('e', short_event)
    .. part('b', header.body) .. part('d', doubt) .. 'j' .. entry_of(i)
  if entries_in(record) < header.history_max then
    redis.call('RPUSH', record, entry)
  elseif outcome == 'accepted' or source == 'settle' then
    redis.call('LSET', record, -1, entry)
  else
    return n, false
  end
  keeps_body = true
  return n, true
end

local function tell(item, event)
  event.tag, event.at, event.request, event.trace = item.tag, header.at, header.request, header.trace
  add_event(prefix, item.id, event)
end

-- Handlers run for a callback unless the job is in doubt, and for an answer if it changes the state, or if they have not
-- run yet for an earlier event that was held. They do not run for quiet news.
local function is_quiet(job) return header.quiet and not job.held end

local function handlers_for(item, job)
  if is_quiet(job) then return '0' end
  if not is_answer then return job.doubt and '0' or '1' end
  return (item.state ~= job.state or (job.held and item.state)) and '1' or '0'
end

-- The report of the event: the reported one; or the known one, if the report has no state.
local function announce(i, item, job, entry, version)
  local report, handlers = report_of(i), handlers_for(item, job)
  if not item.state and job.exists then report = known_report(i, item.id) end
  if not is_answer and handlers == '0' then redis.call('HSET', key('job', item.id), 'held', 1) end
  tell(item, {event_id = item.event_id, kind = source, state = item.state, version = version, entry = entry,
    handlers = handlers, report = report, only = is_quiet(job) and 'none' or nil})
end

local function set_or_clear(hash, name, value)
  if value then redis.call('HSET', hash, name, value) else redis.call('HDEL', hash, name) end
end

local HOUR_MS = 3600000

local function is_asked_again(id)
  local asked = tonumber(redis.call('HGET', key('job', id), 'reasked') or 0)
  if clock - asked < HOUR_MS then return false end
  redis.call('HSET', key('job', id), 'reasked', clock)
  return true
end

-- An open question stays until CI's own answer, whatever callbacks report before; an end without a question is final.
local function schedule(item, id, rank, ask, outcome)
  local hash = key('job', id)
  if is_answer and outcome ~= 'stale' and (item.state or source == 'settle') then
    redis.call('HDEL', hash, 'question', 'doubt', 'doubt_report', 'doubt_raw', 'held')
  end
  if ask == 'hourly' and not is_asked_again(id) then ask = nil end
  if ask then
    redis.call('HSET', hash, 'question', 1)
    redis.call('ZADD', key('due'), 'LT', clock, id)
  elseif item.confirm_in and outcome == 'accepted' then
    redis.call('HSET', hash, 'question', 1, 'outputs_asked', 1)
    redis.call('ZADD', key('due'), 'LT', clock + item.confirm_in, id)
  elseif rank == 3 and redis.call('HEXISTS', hash, 'question') == 0 then
    redis.call('ZREM', key('due'), id)
  elseif item.ask_in and source == 'poll' then
    redis.call('ZADD', key('due'), clock + item.ask_in, id)
  elseif item.ask_in then
    -- A callback from before CI's answer has not set the deadline of the submission.
    redis.call('ZADD', key('due'), source == 'submit' and 'LT' or 'NX', clock + item.ask_in, id)
  end
end

-- A job gets the labels of its submission, whichever comes first, CI's answer or its callback.
local function set_labels(id, member, job, places)
  if places == job.labels then return end
  for _, index in ipairs(label_indexes(job.labels)) do redis.call('ZREM', prefix .. index, member) end
  for _, index in ipairs(label_indexes(places)) do redis.call('ZADD', prefix .. index, job.created, member) end
  for label, value in pairs(places and cjson.decode(asked_for[4] or '{}') or {}) do
    redis.call('ZADD', key('values'), 0, 'l' .. value .. '\0' .. label)
  end
  set_or_clear(key('job', id), 'labels', places)
end

local function belong(item, job)
  redis.call('HSET', key('job', item.id), 'submission', header.submission)
  set_labels(item.id, item.member, job, asked_for[3] or nil)
end

local function link(i, item, job)
  local id = item.id
  if header.place and not job.exists and not is_known then
    redis.call('HSET', key('job', id), 'place', cjson.encode(header.place))
  end
  if not submission then return end
  if source == 'callback' and not is_known then
    -- The submission's record is gone: the job is not linked to it, and this claim expires.
    redis.call('SADD', claims, id)
    redis.call('PEXPIRE', claims, header.unknown_ms)
  elseif header.binds then
    belong(item, job)
  elseif source == 'callback' and (not job.submission or job.submission == header.submission) then
    belong(item, job)
    if not next(bound) then
      redis.call('SADD', claims, id)
      -- What remains of the job if CI names another one.
      if not job.exists then
        redis.call('HSET', key('job', id), 'claim', cjson.encode({report = pending_report_of(i), idx = item.held_idx,
          words = item.held_words}))
      end
      -- If CI's answer was lost, the search finds the job by this claim, soon.
      redis.call('ZADD', key('lost'), 'XX', 'LT', clock + header.claim_ms, header.submission)
    end
  end
end

local function enter(i, item, job)
  -- Most often that is the reported one, which is packed already.
  if open_record(key('record', item.id), packed_report_of(i)) then job.first = packed_report_of(i) end
  if not job.created then
    job.created = item.created
    redis.call('ZADD', key('jobs'), job.created, item.member)
    redis.call('HSET', key('job', item.id), 'created', job.created)
  end
end

local function note_seen(item, is_kept)
  -- Past the history's cap contents are not remembered, so that no hash grows without end. What comes twice then makes the
  -- same event twice, and an event of the same id runs nothing again.
  if not is_kept then return end
  local marks = {}
  for _, content in ipairs(item.seen) do
    marks[#marks + 1] = 'd:' .. content
    marks[#marks + 1] = 1
  end
  redis.call('HSET', key('job', item.id), unpack(marks))
end

-- Where the exact bytes of an item are: the name of the body, and the item's position in it.
local function raw_of(item) return header.raw or ((header.body or '') .. ':' .. item.position) end

-- Writes the record of a job of which nothing is certain yet, or one more version of what is known.
local function leave_unmoved(i, item, job, fields)
  local hash, version = key('job', item.id), tonumber(job.version or 0) + 1
  redis.call('HSET', hash, 'version', version, 'updated', now, unpack(fields))
  if not job.exists then
    redis.call('HSET', hash, 'verification', 'unconfirmed', 'rank', 0, 'source', source)
    store_report(item.id, job, pending_report_of(i))
    stored[item.id] = pending_report_of(i)
    index(item.id, item.member, job, item.held_idx, item.held_words)
  end
  return version
end

-- The news waits for CI's own answer: the state does not change, and no event is made.
local function hold(i, item, job)
  leave_unmoved(i, item, job, {'verification', 'unconfirmed'})
  local _, is_kept = remember(item.id, job, i, 'accepted')
  note_seen(item, is_kept)
  schedule(item, item.id, 0, 'now', 'accepted')
end

-- A report that contradicts what is known is stored beside it, until CI or a person decides. It is not remembered as seen,
-- because it is news if CI's answer confirms it.
local function raise_doubt(i, item, job, reason)
  local id, hash = item.id, key('job', item.id)
  local known, report = job.doubt and cjson.decode(job.doubt), cjson.decode(report_of(i))
  local is_news = not known or known.digest ~= item.digest
  local doubt = {reason = reason, since = known and known.since or header.at, digest = item.digest,
    reported = {state = report.state, code = report.code, ended_at = report.ended_at},
    asked_at = known and known.asked_at or cjson.null}
  local version = job.version or 1
  if is_news then
    version = leave_unmoved(i, item, job, {'doubt', cjson.encode(doubt), 'doubt_report', report_of(i),
      'doubt_raw', raw_of(item)})
  end
  -- An event of its own id: the content may come again as news.
  local event = is_news and job.news < runs_max and string.sub(redis.sha1hex('doubt ' .. item.event_id), 1, 32)
  local entry = remember(id, job, i, 'stale', event and from_hex(event) or nil, reason)
  if event then
    redis.call('HINCRBY', hash, 'news', 1)
    tell(item, {event_id = event, kind = 'doubt', state = job.state, version = version, entry = entry,
      handlers = '0', report = known_report(i, id), details = cjson.encode({reason = reason, since = doubt.since,
        reported = doubt.reported})})
  end
  schedule(item, id, 0, 'now', 'stale')
end

local function replace(i, item, job, version)
  local hash = key('job', item.id)
  store_report(item.id, job, packed_report_of(i))
  stored[item.id] = report_of(i)
  redis.call('HSET', hash, 'rank', item.rank, 'digest', item.digest, 'source', source,
    'verification', header.verification, 'version', version, 'updated', now, 'raw', raw_of(item))
  set_or_clear(hash, 'state', item.state)
  set_or_clear(hash, 'ended', item.ended)
  index(item.id, item.member, job, item.idx, item.words)
  if job.claim and (source ~= 'callback' or header.submission ~= job.submission) then
    redis.call('HDEL', hash, 'claim')
  end
end

-- An answer, even one without news, makes the record certain. A report that it refutes is not news when it is repeated.
local function confirm(item, job, outcome)
  local hash = key('job', item.id)
  if outcome == 'stale' then return end
  redis.call('HSET', hash, 'verification', header.verification)
  for _, content in ipairs(header.refuted or {}) do redis.call('HSET', hash, 'd:' .. content, 1) end
  if outcome ~= 'duplicate' or not (item.state or source == 'settle') then return end
  redis.call('HSET', hash, 'source', source)
  if source == 'poll' then
    -- Unless the known state is CI's own, `polled` is of an answer before it: of a job that had not ended, say.
    local polled = job.source == 'poll' and math.max(header.asked, job.polled) or header.asked
    redis.call('HSET', hash, 'polled', polled)
  end
  if job.verification == 'unconfirmed' or job.doubt then
    redis.call('HSET', hash, 'version', tonumber(job.version) + 1, 'updated', now)
  end
end

-- More news than any job has means that a leaked URL is abused. It no longer changes the job and runs no handlers, and CI is
-- asked. An end is let through, because at most two ends can be news: a third one is a doubt.
local ENDS = 2

local function is_flood(item)
  if source ~= 'callback' or item.rank == 3 then return false end
  return redis.call('HINCRBY', key('job', item.id), 'news', 1) > runs_max - ENDS
end

local function take(i, item, job, outcome, ask)
  local id = item.id
  local is_vague = not item.state and job.exists
  local moves = outcome == 'accepted' and not is_vague
  local version = tonumber(job.version or 0) + (is_vague and 0 or 1)
  -- It confirms what was doubted: the event whose handlers did not run is announced again.
  local is_owed = is_answer and outcome == 'duplicate' and job.held
  local event = (outcome == 'accepted' or is_owed) and item.event_id or nil
  local entry, is_kept = remember(id, job, i, is_owed and 'accepted' or outcome, event and item.short_event)
  note_seen(item, is_kept)
  if moves then
    replace(i, item, job, version)
    if source == 'poll' then redis.call('HSET', key('job', id), 'polled', header.asked) end
  elseif is_answer then
    confirm(item, job, outcome)
  end
  if event then announce(i, item, job, entry, version) end
  schedule(item, id, moves and item.rank or job.rank, ask, outcome)
  return is_owed and 'accepted' or outcome
end

local function write(i, item, each)
  local job, outcome = each.job, each.outcome
  enter(i, item, job)
  link(i, item, job)
  stamp(prefix, item.member, (outcome == 'accepted' or not job.exists) and now or nil)
  if each.doubt then
    raise_doubt(i, item, job, each.doubt)
  elseif outcome == 'accepted' and (header.hold or is_flood(item)) then
    hold(i, item, job)
  else
    return take(i, item, job, outcome, each.ask)
  end
  return outcome
end

local function count_usage()
  if not (header.token and source == 'callback') then return end
  if header.limit then
    redis.call('HSET', usage, 'usage', string.format('%d %d %d %d', minute, used.count, used.bytes, used.kept))
  end
  if submission and not is_known then redis.call('PEXPIRE', usage, header.unknown_ms) end
  if not header.url then return end
  redis.call('ZADD', key('urls'), 'NX', now, header.token)
  for name, value in pairs(header.url) do redis.call('HSETNX', usage, name, value) end
  redis.call('HSET', usage, 'used', now)
end

if not schema then redis.call('HSET', key('schema'), 'version', header.schema, 'since', now) end
local answer, written, are_new = {'ok'}, {}, source == 'submit'
for i, item in ipairs(items) do
  -- One body may report the same job twice: the later item must see what the earlier one wrote.
  local each = written[item.id] and foresee(i, item) or foreseen[i]
  written[item.id] = true
  are_new = are_new and not each.job.exists
  answer[#answer + 1] = write(i, item, each)
end
if are_new then answer = {'new', header.at, unpack(answer, 2)} end
if keeps_body and body ~= '' then redis.call('SET', key('body', header.body), body, 'PX', header.body_ms) end
count_usage()

-- Removes a job that only this claim reported: the claim was wrong, and so is all that it reported.
local function forget(id, job)
  local claim, hash = cjson.decode(job.claim), key('job', id)
  store_report(id, job, claim.report)
  redis.call('HSET', hash, 'rank', 0, 'version', tonumber(job.version) + 1, 'updated', now)
  redis.call('HDEL', hash, 'state', 'ended', 'digest', 'raw', 'claim')
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    if string.sub(field, 1, 2) == 'd:' then redis.call('HDEL', hash, field) end
  end
  index(id, member_of(id), job, claim.idx, claim.words or {'', '', '', '', '', ''})
end

-- CI itself has named the jobs of our request, which overrides what callbacks claimed before.
if header.binds and is_known then
  local ids, named = {}, {}
  for _, item in ipairs(items) do
    if not named[item.id] then ids[#ids + 1] = item.id end
    named[item.id] = true
  end
  redis.call('HSET', submission, 'job_ids', table.concat(ids, ' '), 'status', 'submitted')
  redis.call('HDEL', submission, 'error', 'ci')
  for _, id in ipairs(redis.call('SMEMBERS', claims)) do
    local job = known_job(id)
    if named[id] then
      redis.call('HDEL', key('job', id), 'claim')
    else
      if job.claim then forget(id, job) end
      redis.call('HDEL', key('job', id), 'submission')
      set_labels(id, member_of(id), job)
      redis.call('HSET', key('job', id), 'verification', 'unconfirmed', 'question', 1)
      stamp(prefix, member_of(id))
      redis.call('ZADD', key('due'), 'LT', clock, id)
    end
  end
  if redis.call('HDEL', submission, 'doubted') == 1 then
    for _, id in ipairs(ids) do redis.call('ZADD', key('due'), clock, id) end
  end
  redis.call('DEL', claims)
  redis.call('ZREM', key('lost'), header.submission)
end

-- A submission is open until all of its jobs have ended: until then the key that signed its token is needed.
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
