-- Moves jobs that plain RQ clients put into `messages` to the end of their lanes, in order.
--
-- KEYS  1 `messages`    2 doorbell    3 RQ's set of queues    4 the router's lease
-- ARGV  1 token    2 RQ's prefix    then for each job: id, name of its lane, data
-- Returns how many were moved; -1 if another router is at work.

--@include doorbell

if redis.call('GET', KEYS[4]) ~= ARGV[1] then
  return -1
end
local moved = 0
for at = 3, #ARGV, 3 do
  local id, lane = ARGV[at], ARGV[at + 1]
  local key = ARGV[2] .. ':job:' .. id
  -- What was cancelled, deleted or ran out of its `ttl` meanwhile just leaves the list.
  if redis.call('LREM', KEYS[1], 1, id) == 1 and redis.call('HGET', key, 'status') == 'queued' then
    local list = ARGV[2] .. ':queue:' .. lane
    redis.call('HSET', key, 'origin', lane, 'data', ARGV[at + 2])
    redis.call('PERSIST', key)
    redis.call('RPUSH', list, id)
    redis.call('SADD', KEYS[3], list)
    moved = moved + 1
  end
end
if moved > 0 then
  ring(KEYS[2])
end
return moved
