-- Counts what was done already, and says how much of each allowance is used up now, whoever used it.
--
-- KEYS  one for each allowance
-- ARGV  for each: microseconds to use up, microseconds that there are at most
-- Returns for each the microseconds that are used up.

--@include allowance

local now, answers = microseconds(), {}
for at, key in ipairs(KEYS) do
  local whole = tonumber(ARGV[2 * at])
  local used = math.min(used_up(key, now, whole) + ARGV[2 * at - 1], whole)
  use_up(key, now, used)
  answers[at] = used
end
return answers
