-- One page of a list: the members of the smallest index that serves the filter which are in all the others too, newest
-- first.
-- holder.lua is in front of this file.
-- ARGV: prefix, digest of an API key or '', how many jobs at most, how many entries to look at for them at most, the
-- highest and the lowest score (or '' for any), score and member of the last entry of the page before (or '' twice), then
-- the indexes.
-- Returns {the holder, how many entries were looked at, 1 if these were the last, member and score of the last, the members
-- that match, their stamps (as record.lua describes; '' for one that is gone)}.
local prefix, limit, most, top, bottom, after, after_member = ARGV[1], unpack(ARGV, 3, 8)
limit, most = tonumber(limit), tonumber(most)
local AT_ONCE = 200

local function smallest_first()
  local keys, sizes = {}, {}
  for n = 9, #ARGV do
    keys[#keys + 1] = prefix .. ARGV[n]
    sizes[keys[#keys]] = #ARGV > 9 and redis.call('ZCARD', keys[#keys]) or 0
  end
  table.sort(keys, function(one, other) return sizes[one] < sizes[other] end)
  return keys[1], {unpack(keys, 2)}
end

local index, others = smallest_first()

-- By bytes, as Redis sorts members; Lua's own comparison follows a locale.
local function is_less(one, other)
  for n = 1, math.min(#one, #other) do
    local a, b = string.byte(one, n), string.byte(other, n)
    if a ~= b then return a < b end
  end
  return #one < #other
end

local function count_from(score) return redis.call('ZCOUNT', index, score, '+inf') end

-- The rank at which the page begins. Many members may have the score of the previous page's last entry, and that entry
-- may have been removed: its rank among them is found by binary search.
local function first_rank()
  local low = top == '' and 0 or count_from('(' .. top)
  if after == '' then return low end
  low = math.max(low, count_from('(' .. after))
  local high = count_from(after)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_less(redis.call('ZRANGE', index, middle, middle, 'REV')[1], after_member) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local function stands_in_all(places, n)
  for _, scores in ipairs(places) do
    if not scores[n] then return false end
  end
  return true
end

local found, looked, last = {}, 0, ''

-- Adds the entries that are in all indexes; returns whether the page has room for more.
local function take(members)
  local places = {}
  for n, other in ipairs(others) do places[n] = redis.call('ZMSCORE', other, unpack(members)) end
  for n, member in ipairs(members) do
    looked, last = looked + 1, member
    if stands_in_all(places, n) then found[#found + 1] = member end
    if #found == limit or looked == most then return false end
  end
  return true
end

local rank, beyond = first_rank(), bottom == '' and redis.call('ZCARD', index) or count_from(bottom)
local has_room = true
while has_room and rank < beyond do
  -- Usually all match.
  local count = math.min(looked == 0 and limit or AT_ONCE, AT_ONCE, beyond - rank)
  has_room = take(redis.call('ZRANGE', index, rank, rank + count - 1, 'REV'))
  rank = rank + count
end
local stamps = #found > 0 and redis.call('ZMSCORE', prefix .. 'touched', unpack(found)) or {}
for n = 1, #found do stamps[n] = stamps[n] or '' end
return {holder, looked, has_room and 1 or 0, last, looked > 0 and redis.call('ZSCORE', index, last) or '', found, stamps}
