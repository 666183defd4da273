-- The stored form of a job's record. Scripts that read or change one are sent behind this file.
-- The list `record:<job>` holds its report (packed) and behind it the entries of its history, oldest first. An entry is
-- made of parts, a letter, the length as one byte, and the value: `n` its number, `o` the first letter of its outcome,
-- `e` its event (16 bytes), `b` the name of its body, `d` the reason of a doubt. Behind `j` comes the rest (JSON, packed).

local function from_hex(hex)
  return (string.gsub(hex, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end

local function to_hex(bytes)
  return (string.gsub(bytes, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

-- CI's ids, a letter and 32 hex digits, are members of 17 bytes in `jobs`, `touched` and the indexes. The first byte begins
-- no UTF-8 text, so that no other id looks like them.
local function member_of(id)
  if #id ~= 33 or not string.match(id, '^%l[0-9a-f]+$') then return id end
  return string.char(string.byte(id) - 97 + 128) .. from_hex(string.sub(id, 2))
end

-- The inverse; an id that is none of CI's stands as it is.
local function id_of(member)
  local first = string.byte(member, 1) or 0
  if #member ~= 17 or first < 128 or first >= 154 then return member end
  return string.char(first - 128 + 97) .. to_hex(string.sub(member, 2))
end

-- `touched` has each job by its last change (ms), for retention. Behind the point of that score stands a number that is
-- another one after each change: what writes a field of a job's hash that its record shows, or what that is made of,
-- stamps the job. Who has shown a job shows the same again while its score is the same.
-- `now` (ms) is given where retention is to count from this change on.
local function stamp(prefix, member, now)
  local touched = prefix .. 'touched'
  local last = tonumber(redis.call('ZSCORE', touched, member) or nil)
  if not (last or now) then return end
  local count = last and last * 1024 % 1024 + 1 or redis.call('TIME')[2]
  redis.call('ZADD', touched, math.floor(now or last) + count % 1024 / 1024, member)
end

local function part(letter, value)
  return value and letter .. string.char(#value) .. value or ''
end

local function body_named_in(entry)
  local at = 1
  while at < #entry do
    local letter, size = string.sub(entry, at, at), string.byte(entry, at + 1)
    if letter == 'j' then return nil end
    if letter == 'b' then return string.sub(entry, at + 2, at + 1 + size) end
    at = at + 2 + size
  end
end

-- The report has its place before there are entries. Returns whether it was not there yet.
local function open_record(record, report)
  if redis.call('EXISTS', record) == 1 then return false end
  redis.call('RPUSH', record, report)
  return true
end

local function entries_in(record) return math.max(redis.call('LLEN', record) - 1, 0) end

-- The indexes that a job stands in, `index:<number>:<hash>`: `idx` of its hash has eight characters for each of these, blanks
-- for none.
local INDEXES = {'state', 'tag', 'queue_id', 'bucket', 'input_object', 'user_data'}

-- The indexes of a job's labels: `labels` of its hash, and of its submission's, has eight characters for each.
local function label_indexes(places)
  local found = {}
  for n = 1, #(places or ''), 8 do found[#found + 1] = 'index:l:' .. string.sub(places, n, n + 7) end
  return found
end

-- What an event says of the submission of its job: the labels (JSON), and when its silence is overdue (ms).
local function asked_with(prefix, submission)
  if not submission then return '{}', '' end
  local labels, deadline = unpack(redis.call('HMGET', prefix .. 'submission:' .. submission, 'labels_json', 'deadline'))
  return labels or '{}', deadline or ''
end

-- `values` has what jobs are searched by. From ARGV[first] on: a value, the key that is there while a job has it, and so on.
local function forget_values(prefix, first)
  local gone = 0
  for n = first, #ARGV, 2 do
    if redis.call('EXISTS', ARGV[n + 1]) == 0 then gone = gone + redis.call('ZREM', prefix .. 'values', ARGV[n]) end
  end
  return gone
end

local function index_at(places, n)
  local place = string.sub(places, 8 * n - 7, 8 * n)
  if place == '' or place == '        ' then return nil end
  return 'index:' .. n .. ':' .. place
end

