-- The event `run_failed` of a run that is out of tries. Sent behind record.lua, event.lua and run.lua, in front of the scripts that end runs.

local TROUBLES = {overdue = true, submission_failed = true, run_failed = true, doubt = true}

local function kind_of(hash)
  local line = redis.call('HGET', hash, 'line')
  return line and cjson.decode(line)[1]
end

-- Whether a failed run of this event makes an event. For an event about trouble it does not: that would never end.
local function is_announced(hash) return not TROUBLES[kind_of(hash) or 'doubt'] end

-- Appends one event for the failure. `report` is the report of the run's event (JSON); with '' (it was removed) none is made.
local function announce_failure(hash, id, run, why, at, report)
  if report == '' or not is_announced(hash) then return end
  local prefix = string.gsub(hash, 'runs_of:[^:]*$', '')
  local _, state, tag, version, _, entry = unpack(cjson.decode(redis.call('HGET', hash, 'line')))
  local handler, endpoint = string.match(id, '^[^|]*|([^|]*)|?(.*)$')
  local event_id = string.sub(redis.sha1hex('run_failed ' .. id .. ' ' .. run.tries), 1, 32)
  local details = {event_id = event_of(id), handler = handler, tries = run.tries, error = text_of(why),
    endpoint = endpoint ~= '' and endpoint or cjson.null}
  add_event(prefix, id_of(redis.call('HGET', hash, 'job')), {event_id = event_id, kind = 'run_failed', state = state,
    tag = tag, version = version, entry = entry, at = at, handlers = '0', report = report,
    details = cjson.encode(details)})
end

