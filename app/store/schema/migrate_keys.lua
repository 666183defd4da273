-- Schema 1 to 2: moves values to the keys that hold them now. Can be repeated; what both hold is merged, because processes
-- of the earlier release may still write while this one starts.
-- ARGV[1] prefix, then for each key: its type, its old name, its new name. A key of another type is not ours: in
-- schema 1 the id of a job could end like the key of another job.
local prefix = ARGV[1]

local function by_entry(a, b) return cjson.decode(a).entry < cjson.decode(b).entry end

local MERGE = {
  list = function(old, new)
    local lines = redis.call('LRANGE', new, 0, -1)
    for _, line in ipairs(redis.call('LRANGE', old, 0, -1)) do lines[#lines + 1] = line end
    table.sort(lines, by_entry)
    redis.call('DEL', new)
    for _, line in ipairs(lines) do redis.call('RPUSH', new, line) end
  end,
  set = function(old, new) redis.call('SUNIONSTORE', new, new, old) end,
  zset = function(old, new) redis.call('ZUNIONSTORE', new, 2, new, old, 'AGGREGATE', 'MIN') end,
}

local moved = 0
for i = 2, #ARGV, 3 do
  local kind, old, new = ARGV[i], prefix .. ARGV[i + 1], prefix .. ARGV[i + 2]
  if redis.call('TYPE', old).ok == kind then
    MERGE[kind](old, new)
    redis.call('DEL', old)
    moved = moved + 1
  end
end
return moved
