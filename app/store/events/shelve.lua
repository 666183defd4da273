-- Moves the oldest entries of the outbox to where only late listeners read them, many in one packed value.
-- KEYS: the outbox, what is past. ARGV: ids of the first and the last of these entries, the entries (packed), how many
-- values are kept there. Returns 0 where another process has moved them.
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[2], ARGV[2], 'first', ARGV[1], 'entries', ARGV[3])
redis.call('XTRIM', KEYS[2], 'MAXLEN', ARGV[4])
local ms, number = string.match(ARGV[2], '(%d+)-(%d+)')
redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(number) + 1))
return 1
