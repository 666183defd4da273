-- Removes events with their runs. Sent behind run.lua, in front of the scripts that remove jobs and submissions.

local function runs_in(prefix, event)
  local runs = {}
  for _, field in ipairs(redis.call('HKEYS', prefix .. 'runs_of:' .. event)) do
    local name = string.match(field, '^run(|.*)')
    if name then runs[#runs + 1] = event .. name end
  end
  return runs
end

-- Returns how many of the runs were failures.
local function drop_runs(prefix, event, runs)
  local failures = 0
  for _, run in ipairs(runs) do
    local endpoint = string.match(run, '^[^|]*|[^|]*|?(.*)$')
    for _, name in ipairs({'runs', 'lookups'}) do redis.call('ZREM', prefix .. name, run) end
    redis.call('ZREM', schedule_of(prefix .. 'runs_of:' .. event, run, prefix .. 'runs'), run)
    failures = failures + redis.call('ZREM', prefix .. 'failures', run)
    if endpoint ~= '' then redis.call('ZREM', prefix .. 'deliveries:' .. endpoint, run) end
  end
  redis.call('DEL', prefix .. 'runs_of:' .. event, prefix .. 'report_of:' .. event)
  return failures
end

-- Removes a submission's own events, those without a job.
local function drop_events_of(prefix, submission)
  for _, field in ipairs(redis.call('HKEYS', prefix .. 'submission:' .. submission)) do
    local event = string.match(field, '^e:(.*)')
    if event then drop_runs(prefix, event, runs_in(prefix, event)) end
  end
end

