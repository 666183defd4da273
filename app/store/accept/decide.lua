-- Compares one report about a job with what is known: the outcome, whether CI is asked, and the reason for a doubt.
-- Pure: reads only its arguments and writes nothing. accept.lua is sent to Redis behind this file.
--
-- item: what was reported, `state`, `rank`, `ended` (ms), `digest`, `is_word` (the state is one of CI's six).
-- job: what is known, the same fields, `exists`, `source`, `polled`, `heard` (this content or end came before).
-- Returns outcome, ask, reason. ask: nil, 'now', or 'hourly' where CI's own answer has already decided.
--
-- An ended job beats one that has not ended; CI's answer beats a callback, and of two answers the later question counts.
-- A callback that contradicts what is known decides nothing: it is a doubt, and CI is asked.

local FUTURE_MS = 600000 -- A sender's clock may be wrong by minutes. An end further ahead is no end.

local function contradicts(item, job)
  return item.state ~= job.state or (item.ended and job.ended and item.ended ~= job.ended)
end

local function decide_poll(item, job, asked)
  if not item.state then return job.heard and 'duplicate' or 'accepted' end
  if item.digest == job.digest then return 'duplicate' end
  if job.rank == 3 and item.rank < 3 then return 'stale' end
  local as_far = (job.rank == 3) == (item.rank == 3)
  if job.state and job.source == 'poll' and as_far and asked < job.polled then return 'stale' end
  return 'accepted'
end

-- CI has answered that the job ended: no callback changes it after that.
local function decide_after_answer(item, job)
  if not item.state then return 'accepted', 'hourly' end
  local is_contradiction = not item.is_word or (item.rank == 3 and contradicts(item, job))
  return 'stale', is_contradiction and 'hourly' or nil
end

local function decide_by_rank(item, job)
  if not item.state then return 'accepted', 'now' end
  if item.rank == 3 and job.rank == 3 then return (item.ended and not job.ended) and 'accepted' or 'stale' end
  if item.rank < 3 and job.rank < 3 and job.source == 'poll' and job.state then
    return 'stale', item.rank >= job.rank and 'now' or nil
  end
  if item.rank < job.rank then return 'stale' end
  return 'accepted', (job.state and item.rank == job.rank and item.state ~= job.state) and 'now' or nil
end

-- `sender` is what is wrong with the sender: 'unknown_submission', 'foreign_url' or nil.
local function decide_callback(item, job, now, sender)
  if job.heard then return 'duplicate' end
  if job.source == 'poll' and job.rank == 3 then return decide_after_answer(item, job) end
  if item.state and not item.is_word then return 'stale', 'now', 'unknown_state' end
  if item.rank == 3 and item.ended and item.ended > now + FUTURE_MS then return 'stale', 'now', 'end_in_future' end
  if item.rank == 3 and job.rank == 3 and contradicts(item, job) then
    return 'stale', 'now', item.state ~= job.state and 'states_differ' or 'ends_differ'
  end
  local outcome, ask = decide_by_rank(item, job)
  if outcome == 'accepted' and sender then return 'stale', 'now', sender end
  return outcome, ask
end

