-- Notes that CI is asked about these jobs now; the record of a job in doubt shows when.
-- ARGV: prefix, RFC 3339 now, then job ids.
for i = 3, #ARGV do
  local job = ARGV[1] .. 'job:' .. ARGV[i]
  local doubt = redis.call('HGET', job, 'doubt')
  if doubt and string.sub(doubt, 1, 1) == '{' then
    doubt = cjson.decode(doubt)
    doubt.asked_at = ARGV[2]
    redis.call('HSET', job, 'doubt', cjson.encode(doubt))
    stamp(ARGV[1], member_of(ARGV[i]))
  end
end
