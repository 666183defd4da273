-- The stored fields of some jobs, each read at one moment. holder.lua is in front of this file.
-- ARGV: prefix, digest of an API key or '', how many fields of a job, their names, how many fields of a submission, their names, then the ids.
-- Returns the holder, then for each id: the job's fields, its report (packed), its submission's fields, what was asked there (packed),
-- and whether the body that the report came from is still stored.
local prefix, at = ARGV[1], 3
local function key(kind, id) return prefix .. kind .. ':' .. id end

-- The names, and where each stands.
local function names()
  local count, found, places = tonumber(ARGV[at]), {}, {}
  for n = 1, count do
    found[n] = ARGV[at + n]
    places[found[n]] = n
  end
  at = at + count + 1
  return found, places
end

local of_job, places = names()
local of_submission, answer = names(), {holder}
for n = at, #ARGV do
  local id = ARGV[n]
  local fields = redis.call('HMGET', key('job', id), unpack(of_job))
  local submission, raw = fields[places.submission], fields[places.raw]
  answer[#answer + 1] = {
    fields,
    redis.call('LINDEX', key('record', id), 0),
    submission and redis.call('HMGET', key('submission', submission), unpack(of_submission)) or {},
    submission and (redis.call('HGET', key('submission', submission), 'request')
      or redis.call('GET', key('request', submission))),
    raw and redis.call('EXISTS', key('body', string.match(raw, '^[^:]*'))) or 0,
  }
end
return answer
