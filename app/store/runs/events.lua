-- Events as they are stored, each with its report: its own, or that of its job, of the same moment.
-- ARGV: prefix, then ids of events. Returns four values for each: job id, the rest of its fields (JSON), the event that it
-- replays or '', the report (packed) or ''. All are '' for one that is not there.
local prefix, found = ARGV[1], {}
for i = 2, #ARGV do
  local job, line, replay_of = unpack(redis.call('HMGET', prefix .. 'runs_of:' .. ARGV[i], 'job', 'line', 'replay_of'))
  local report = job and (redis.call('GET', prefix .. 'report_of:' .. ARGV[i])
    or redis.call('LINDEX', prefix .. 'record:' .. job, 0))
  for _, value in ipairs({job or '', line or '', replay_of or '', report or ''}) do found[#found + 1] = value end
end
return found
