-- What became of a submission that CI has not named a job for; its answer, when it came after all, is never undone.
-- KEYS: the submission, the lost ones. ARGV: id, status, error, CI's words (JSON) or ''.
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'sending' and status ~= 'lost' then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'error', ARGV[3], 'ci', ARGV[4])
if ARGV[2] == 'failed' then redis.call('ZREM', KEYS[2], ARGV[1]) end
return 1
