-- Takes the router's lease, if nobody else has it.
--
-- KEYS  1 the router's lease
-- ARGV  1 token    2 lease in ms
-- Returns 1, or 0 if another router is at work.

--@include although_full

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
begin_although_full(KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
