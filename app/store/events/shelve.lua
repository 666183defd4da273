-- Moves the oldest entries of the outbox to `past`, many in one packed value; only late listeners read that.
-- KEYS: the outbox, `past`. ARGV: ids of the first and the last of these entries, the entries (packed), their
-- number, how many entries are kept in all. Returns 0 if another process has moved them.
-- `before`: how many entries were packed before these.
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[1] then return 0 end

local function counts(entry)
  local fields = {}
  for n = 1, #entry[2], 2 do fields[entry[2][n]] = entry[2][n + 1] end
  return tonumber(fields.before), tonumber(fields.count)
end

local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local before = 0
if last then
  local others, count = counts(last)
  before = others + count
end
redis.call('XADD', KEYS[2], ARGV[2], 'first', ARGV[1], 'before', before, 'count', ARGV[4], 'entries', ARGV[3])
local ms, number = string.match(ARGV[2], '(%d+)-(%d+)')
redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(number) + 1))

local rest = redis.call('XLEN', KEYS[1]) + before + ARGV[4]
local shelves = redis.call('XLEN', KEYS[2])
while shelves > 0 do
  local others, count = counts(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1])
  if rest - others - count < tonumber(ARGV[5]) then break end
  shelves = shelves - 1
  redis.call('XTRIM', KEYS[2], 'MAXLEN', shelves)
end
return 1
