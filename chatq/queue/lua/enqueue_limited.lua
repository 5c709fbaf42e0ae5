-- Accepts message jobs in their order, each once, of each user only so many in a while: running it again changes nothing.
--
-- KEYS  1 doorbell    2 RQ's set of queues
-- ARGV  1 RQ's prefix    2 prefix of the memory of client ids    3 seconds for which a client id is remembered
--       4 prefix of the users' allowances    5 microseconds that a job uses up    6 microseconds that there are at most
--       then for each job: id, digest of the content ('' for a job without a client id), data, name of its lane,
--       time (RFC 3339), description, user whose allowance it uses up ('' for nobody's)
-- Returns for each job 0 queued, 1 a repeat of what was accepted before, 2 other content under the same client id,
--       3 more than its user may send now; to 0 and 3 is added four times the microseconds that are used up.

--@include accepting
--@include doorbell
--@include allowance

local now, share, whole = microseconds(), tonumber(ARGV[5]), tonumber(ARGV[6])
local used, spent = {}, {}
local user

local function may()
  local before = used[user] or used_up(ARGV[4] .. user, now, whole)
  local after = before + share
  if after > whole then
    used[user] = before
    return false
  end
  used[user], spent[user] = after, after
  return true
end

local answers, queued = {}, false
for at = 7, #ARGV, 7 do
  user = ARGV[at + 6]
  local counted = user ~= '' and may
  local answer = accept(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], counted)
  queued = queued or answer == 0
  if counted and (answer == 0 or answer == 3) then
    answer = answer + 4 * used[user]
  end
  answers[#answers + 1] = answer
end
for who, after in pairs(spent) do
  use_up(ARGV[4] .. who, now, after)
end
if queued then
  ring(KEYS[1])
end
return answers
