-- The stored form of a run. Scripts that read or change runs are sent behind this file.
-- Each run of an event is a field of its hash, `run|<handler>` or `run|<handler>|<endpoint>`: the state, the number of
-- starts, then, if there is one, `e<ms>` (when it ended), `f<tries>` (how many of the tries are forgiven), and the last try
-- (JSON). `lease|…` is the end of its lease (ms), `holder|…` whose it is, `try:<n>|…` an earlier try. They are fields of their own because a hash
-- stays compact only while none of its values has more than 64 bytes.

local function field_of(id, name) return name .. string.match(id, '|.*$') end

local function event_of(id) return string.match(id, '^[^|]*') end

local function read_run(hash, id)
  local kept = redis.call('HGET', hash, field_of(id, 'run'))
  if not kept then return nil end
  local head, try = string.match(kept, '^([^%[{]*)(.*)$')
  local state, tries = string.match(head, '^(%a+) (%d+)')
  return {
    state = state,
    tries = tonumber(tries),
    ended = tonumber(string.match(head, ' e(%d+)')),
    forgiven = tonumber(string.match(head, ' f(%d+)') or 0),
    try = try,
  }
end

local function write_run(hash, id, run)
  local kept = string.format('%s %d', run.state, run.tries)
  if run.ended then kept = kept .. string.format(' e%.0f', run.ended) end
  if run.forgiven > 0 then kept = kept .. string.format(' f%d', run.forgiven) end
  if run.try ~= '' then kept = kept .. ' ' .. run.try end
  redis.call('HSET', hash, field_of(id, 'run'), kept)
end

-- `holder`: unless it stays.
local function hold(hash, id, lease, holder)
  local fields = {field_of(id, 'lease'), string.format('%.0f', lease)}
  if holder then fields[3], fields[4] = field_of(id, 'holder'), holder end
  redis.call('HSET', hash, unpack(fields))
end

local function is_held_by(hash, id, holder) return redis.call('HGET', hash, field_of(id, 'holder')) == holder end

local function lease_of(hash, id) return tonumber(redis.call('HGET', hash, field_of(id, 'lease')) or 0) end

local function let_go(hash, id) redis.call('HDEL', hash, field_of(id, 'lease'), field_of(id, 'holder')) end

-- The schedule of a run: that of its lane, if the event names one (`lane|…`), else the one given.
local function schedule_of(hash, id, given)
  local lane = redis.call('HGET', hash, field_of(id, 'lane'))
  return lane and string.gsub(hash, 'runs_of:[^:]*$', '') .. 'lane:' .. lane or given, lane or 'default'
end

local function add_act(hash, id, act)
  local acts = redis.call('HGET', hash, field_of(id, 'acts'))
  redis.call('HSET', hash, field_of(id, 'acts'), (acts and string.sub(acts, 1, -2) .. ',' or '[') .. act .. ']')
end

-- For metrics: the result of a try, and if known how long it took (ms, and the bucket of the histogram).
local function count_try(hash, id, result, ms, bucket)
  local prefix = string.gsub(hash, 'runs_of:[^:]*$', '')
  local tries, handler = prefix .. 'tries', string.match(id, '|([^|]*)')
  redis.call('HINCRBY', tries, handler .. '|' .. result, 1)
  if not ms then return end
  redis.call('HINCRBY', tries, handler .. '|ms', ms)
  redis.call('HINCRBY', tries, handler .. '|b' .. bucket, 1)
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

