-- Puts a lane's claims back at its head, in order, and lets the lane go; nothing counts as an attempt.
--
-- ARGV  1 token    2 RQ's prefix    3 chatq's prefix    4 the lane
-- Returns how many were put back; -1 if the lane is another worker's.

--@include claiming

local lane = names(ARGV[2], ARGV[3], tonumber(ARGV[4]))
if redis.call('GET', lane.lease) ~= ARGV[1] then
  return -1
end
local count = give_back(lane, 0)
redis.call('DEL', lane.lease)
return count
