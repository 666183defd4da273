-- Events as they are stored, each with the report of its job where it holds none of its own: both of the same moment.
-- ARGV: prefix, then ids of events. Returns two values for each: the event or '', the job's report or ''.
local prefix, found = ARGV[1], {}
for i = 2, #ARGV do
  local event, report = redis.call('GET', prefix .. 'event:' .. ARGV[i]) or '', ''
  local line = string.match(event, '^(%[[^\n]*)\n$')
  if line then report = redis.call('GET', prefix .. 'report:' .. cjson.decode(line)[1]) or '' end
  found[#found + 1] = event
  found[#found + 1] = report
end
return found
