-- Schemas 4 and 5 to 6, one job: its indexes are named by a number, not by their field, and it is searched for by its short id.
-- Can be repeated. record.lua is in front of this file. ARGV: prefix, job id.
local prefix, id = ARGV[1], ARGV[2]
local member = member_of(id)
local places, labels = unpack(redis.call('HMGET', prefix .. 'job:' .. id, 'idx', 'labels'))

local function move(old, new)
  local created = redis.call('ZSCORE', prefix .. old, member)
  if not created then return end
  redis.call('ZADD', prefix .. new, created, member)
  redis.call('ZREM', prefix .. old, member)
end

for n, field in ipairs(INDEXES) do
  local new = index_at(places or '', n)
  if new then move('index:' .. field .. ':' .. string.sub(new, -8), new) end
end
for _, new in ipairs(label_indexes(labels)) do move('index:label:' .. string.sub(new, -8), new) end
if member ~= id then redis.call('ZREM', prefix .. 'values', 'j' .. id) end
return 1
