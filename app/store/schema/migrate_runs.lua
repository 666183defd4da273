-- Schemas 2 and 3 to 4, one job: each of its runs becomes a field of the hash of its event. Can be repeated.
-- ARGV: prefix, job id, then for each run, each a list: its id, the short id of its event and the event's; the run as it was
-- read; the same as fields of the event; what else is kept of the event; the event's report (packed) or nothing.
-- A run that has changed since it was read is left for the next call. Returns 0 if there was one.
local prefix, id = ARGV[1], ARGV[2]
local job, runs = prefix .. 'job:' .. id, prefix .. 'job_runs:' .. id
local is_complete = 1
while at <= #ARGV do
  local names, was, fields, event, report = next_list(), next_list(), next_list(), next_list(), next_list()
  local run, short_id, event_id = unpack(names)
  if is_still(prefix .. 'run:' .. run, was) then
    for n = 1, #fields, 2 do redis.call('HSETNX', prefix .. 'runs_of:' .. event_id, fields[n], fields[n + 1]) end
    put(prefix .. 'runs_of:' .. event_id, event)
    if report[1] then redis.call('SET', prefix .. 'report_of:' .. event_id, report[1]) end
    redis.call('HSET', job, 'e:' .. short_id, 1)
    redis.call('SREM', runs, run)
    redis.call('DEL', prefix .. 'run:' .. run, prefix .. 'event:' .. event_id)
  else
    is_complete = 0
  end
end
return is_complete
