-- Stored events, each with its report: its own, or its job's, read at the same moment. Sent behind record.lua.
-- ARGV: prefix, then ids of events. Returns eight values for each: the rest of its fields (JSON), job id, the event that it
-- replays, the report (packed), its details (JSON), its submission where it has no job, its request, its trace. Each is '' where there is none.
local prefix, found = ARGV[1], {}
for i = 2, #ARGV do
  local line, job, replay_of, details, submission, request, trace = unpack(redis.call('HMGET',
    prefix .. 'runs_of:' .. ARGV[i], 'line', 'job', 'replay_of', 'details', 'submission', 'request', 'trace'))
  job = job and id_of(job)
  local report = job and (redis.call('GET', prefix .. 'report_of:' .. ARGV[i])
    or job ~= '' and redis.call('LINDEX', prefix .. 'record:' .. job, 0))
  for _, value in ipairs({line or '', job or '', replay_of or '', report or '', details or '', submission or '',
    request or '', trace or ''}) do found[#found + 1] = value end
end
return found
