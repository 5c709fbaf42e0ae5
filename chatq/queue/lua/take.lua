-- Takes a free lane that has work, and claims its first jobs.
--
-- KEYS  1 doorbell    2 where the search begins    3 RQ's suspension    4 RQ's list of unrouted messages
--       5 the messages that jobs wait behind    6 the worker's RQ hash
-- ARGV  1 token    2 lease in ms    3 how many jobs at most    4 number of lanes
--       5 RQ's prefix    6 chatq's prefix    7 now, seconds since the epoch    8 now, RFC 3339
--       9 worker's name    10 what all tokens of this worker begin with
-- Returns {lane, epoch, jobs, unrouted}: lane is -1 if there is nothing to take; epoch is '' if the lane
-- must be taken over in the database first; jobs as `claim` gives them; unrouted is how many jobs wait to
-- be moved to their lanes.

--@include claiming
--@include behind
--@include doorbell
--@include although_full

local token, own = ARGV[1], ARGV[10]
local lease, most = ARGV[2], tonumber(ARGV[3])
local lanes, now = tonumber(ARGV[4]), tonumber(ARGV[7])
release_scheduled(ARGV[5] .. ':scheduled:messages', KEYS[4], ARGV[5] .. ':job:', now, ARGV[8])
local unrouted = redis.call('LLEN', KEYS[4])
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {-1, '', {}, 0}
end

-- A message that was deleted or cancelled by hand while it waited for its retry releases nobody: look after it.
for _, message in ipairs(redis.call('SRANDMEMBER', KEYS[5], 20)) do
  local job = redis.call('HMGET', ARGV[5] .. ':job:' .. message, 'status', 'origin')
  if not job[1] or job[1] == 'failed' or job[1] == 'canceled' or job[1] == 'stopped' then
    local lane = names(ARGV[5], ARGV[6], tonumber(string.sub(message, 16, 18), 16) % lanes)
    release_behind(KEYS[5], message, lane.job, lane.deferred, lane.queue)
  end
end

local first = tonumber(redis.call('GET', KEYS[2]) or '0')
local taken
local others = false
for step = 0, lanes - 1 do
  local lane = names(ARGV[5], ARGV[6], (first + step) % lanes)
  release_due(lane, now, ARGV[8])
  local holder = redis.call('GET', lane.lease)
  -- A lease of its own is one that the worker lost sight of while Redis was away.
  if not holder or string.sub(holder, 1, #own) == own then
    if redis.call('LLEN', lane.queue) > 0 or redis.call('LLEN', lane.claims) > 0 then
      if taken then
        others = true
      else
        taken = lane
      end
    end
  end
end
if not taken then
  return {-1, '', {}, unrouted}
end

begin_although_full(KEYS[2])
redis.call('SET', KEYS[2], (taken.number + 1) % lanes)
redis.call('SET', taken.lease, token, 'PX', lease)
show(KEYS[6], 'busy')
local epoch = redis.call('GET', taken.epoch) or ''
if give_back(taken, 0) > 0 then
  -- Its last holder never finished: only the database can keep that one out from now on.
  redis.call('DEL', taken.epoch)
  epoch = ''
end
if others then
  ring(KEYS[1])
end
return {taken.number, epoch, claim(taken, most, now, ARGV[8], ARGV[9]), unrouted}
