-- The list of refusals: adds, changes or removes one, and keeps the list within its bounds.
-- ARGV: prefix, header (JSON), the refused body (compressed) or '', the rest of the history entry (JSON, packed) for note
-- and for a close with keep_ms. In the header:
--   now, cutoff (ms; what came before goes), count (the most that one call drops), most (bytes in all), share (bytes of
--   one token), history_max; and one of
--   note: {id, token, submission, received, bytes, job_ids, fields} puts a refusal on the list, and has CI asked;
--   amend: {id, fields} changes one that is on the list;
--   close: {id, fields, keep_ms} takes one off the list. Without keep_ms it is removed; with it, its record without the
--   body stays for that long.
-- Returns the result for the one: 'kept', 'known' (noted before), 'revoked' (its token was: nothing is kept), 'done',
-- 'gone' (not on the list) or ''; and how many others were dropped.
local prefix, header, body, entry = ARGV[1], cjson.decode(ARGV[2]), ARGV[3], ARGV[4]

local function key(kind, id) return prefix .. kind .. (id and ':' .. id or '') end

local function bytes_of(whom) return tonumber(redis.call('HGET', key('refused_bytes'), whom) or 0) end

local function count(token, bytes)
  for _, whom in ipairs({'all', token}) do
    if redis.call('HINCRBY', key('refused_bytes'), whom, bytes) <= 0 then
      redis.call('HDEL', key('refused_bytes'), whom)
    end
  end
end

local function set(id, fields, ...)
  local flat = {...}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', key('refusal', id), unpack(flat))
end

local function take_off(id)
  if redis.call('ZREM', key('refused'), id) == 0 then return false end
  local token, bytes = unpack(redis.call('HMGET', key('refusal', id), 'token', 'bytes'))
  redis.call('ZREM', key('refused_of', token or ''), id)
  count(token or '', -tonumber(bytes or 0))
  return true
end

-- With the token of a submission, its jobs are meant, whatever the payload names.
local function meant(note)
  if note.submission == '' then return note.job_ids end
  local card, ids = key('submission', note.submission), {}
  for id in string.gmatch(redis.call('HGET', card, 'job_ids') or '', '%S+') do ids[#ids + 1] = id end
  -- If it has none yet, CI's answer to the submission is still to come: they are asked about then.
  if #ids == 0 and redis.call('EXISTS', card) == 1 then redis.call('HSET', card, 'doubted', 1) end
  return ids
end

local function remember(id)
  if redis.call('HEXISTS', key('job', id), 'version') == 0 then return false end
  local n = redis.call('HINCRBY', key('job', id), 'entries', 1)
  -- Half of a history at most: refusals must not push out what changed the job.
  local record = key('record', id)
  if entries_in(record) < header.history_max / 2 then
    open_record(record, '')
    redis.call('RPUSH', record, part('n', tostring(n)) .. 'j' .. entry)
  end
  return true
end

local function ask(id)
  -- A job that has ended is asked about too: the refused callback may have been right.
  redis.call('HSET', key('job', id), 'question', 1)
  -- By the clock of Redis, with which take.lua compares.
  local time = redis.call('TIME')
  redis.call('ZADD', key('due'), 'LT', time[1] * 1000 + math.floor(time[2] / 1000), id)
end

local function note(refusal)
  if redis.call('SISMEMBER', key('revoked'), refusal.token) == 1 then return 'revoked' end
  if redis.call('EXISTS', key('refusal', refusal.id)) == 1 then return 'known' end
  local ids = meant(refusal)
  for _, id in ipairs(ids) do
    if remember(id) then ask(id) end
  end
  set(refusal.id, refusal.fields, 'token', refusal.token, 'bytes', refusal.bytes, 'job_ids', table.concat(ids, ' '),
    'body', body)
  redis.call('ZADD', key('refused'), refusal.received, refusal.id)
  redis.call('ZADD', key('refused_of', refusal.token), refusal.received, refusal.id)
  count(refusal.token, refusal.bytes)
  return 'kept'
end

local function amend(change)
  if not redis.call('ZSCORE', key('refused'), change.id) then return 'gone' end
  set(change.id, change.fields)
  return 'done'
end

local function close(change)
  if not take_off(change.id) then return 'gone' end
  local hash = key('refusal', change.id)
  if not change.keep_ms then
    redis.call('DEL', hash)
    return 'done'
  end
  for id in string.gmatch(redis.call('HGET', hash, 'job_ids') or '', '%S+') do remember(id) end
  set(change.id, change.fields)
  redis.call('HDEL', hash, 'body')
  redis.call('PEXPIRE', hash, change.keep_ms)
  return 'done'
end

local dropped = 0
local function drop(id)
  take_off(id)
  redis.call('DEL', key('refusal', id))
  dropped = dropped + 1
end

local function drop_oldest(list, whom, most)
  while bytes_of(whom) > most and dropped < header.count do
    local id = redis.call('ZRANGE', list, 0, 0)[1]
    if not id then return end
    drop(id)
  end
end

local verdict = ''
if header.note then verdict = note(header.note) end
if header.amend then verdict = amend(header.amend) end
if header.close then verdict = close(header.close) end
local old = redis.call('ZRANGE', key('refused'), '-inf', header.cutoff, 'BYSCORE', 'LIMIT', 0, header.count)
for _, id in ipairs(old) do drop(id) end
-- One URL's own refusals are dropped first: it must not push out those of others.
if header.note then drop_oldest(key('refused_of', header.note.token), header.note.token, header.share) end
drop_oldest(key('refused'), 'all', header.most)
return {verdict, dropped}
