-- Runs several plain commands in one atomic step, so that one wait for disk or replica covers them all.
-- ARGV[1]: a JSON list of commands, each a list of words.
for _, command in ipairs(cjson.decode(ARGV[1])) do redis.call(unpack(command)) end
return 1
