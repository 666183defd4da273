-- Reserves the moments at which CI may be asked, one for each question, evenly spaced across all processes.
-- KEYS[1] the next free moment. ARGV: ms between two questions, the longest wait (ms) that the caller accepts.
-- Returns how many ms to wait; -1 if that is too long, and then nothing is reserved.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
if mine - now > tonumber(ARGV[2]) then return -1 end
redis.call('SET', KEYS[1], string.format('%.0f', mine + ARGV[1]), 'PX', string.format('%.0f', mine - now + ARGV[1] + 1000))
return mine - now
