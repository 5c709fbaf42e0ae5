-- Claims more jobs of a lane that the worker holds; if there are none, or if it has held the lane long
-- enough while there is other work that nobody looks after, lets the lane go, unless it has jobs in hand.
--
-- KEYS  1 doorbell    2 RQ's suspension    3 the worker's RQ hash    4 the messages that jobs wait behind
--       5 the lane's last finish
-- ARGV  1 token    2 lease in ms    3 how many jobs at most    4 number of lanes
--       5 RQ's prefix    6 chatq's prefix    7 now, seconds since the epoch    8 now, RFC 3339
--       9 worker's name    10 the lane    11 1: let go if there is other work
--       12 how many claimed jobs it has in hand    13 the finish that this was sent behind, '' for none
-- Returns the jobs, each {id, data, created_at, number_of_retries, 1 if it failed before else 0}; none: the lane
-- was let go, unless there are jobs in hand; false: the lane is another worker's, or the finish was not done.

--@include claiming
--@include doorbell

local lane = names(ARGV[5], ARGV[6], tonumber(ARGV[10]))
if redis.call('GET', lane.lease) ~= ARGV[1] then
  return false
end
-- A server that was restarted may know this script, but not yet the finish: both are sent once more then, and what the
-- worker has in hand must not be given back before.
if ARGV[13] ~= '' and redis.call('GET', KEYS[5]) ~= ARGV[13] then
  return false
end

-- Work is also what a dead worker has claimed, and what was delayed and is due: only whoever takes a lane finds it.
local function has_work(other)
  return redis.call('LLEN', other.queue) > 0 or redis.call('LLEN', other.claims) > 0
    or redis.call('ZCOUNT', other.scheduled, '-inf', ARGV[7]) > 0
end

local yield = redis.call('EXISTS', KEYS[2]) == 1
if not yield and ARGV[11] == '1' then
  -- Jobs of plain RQ clients are routed by whoever looks for a lane.
  yield = redis.call('LLEN', ARGV[5] .. ':queue:messages') > 0
  for number = 0, tonumber(ARGV[4]) - 1 do
    local other = names(ARGV[5], ARGV[6], number)
    if number ~= lane.number and redis.call('EXISTS', other.lease) == 0 and has_work(other) then
      yield = true
    end
  end
end

local in_hand = tonumber(ARGV[12])
-- What is finished next may release jobs that wait behind a message: those come before all that is claimed later.
local wait = in_hand > 0 and redis.call('EXISTS', KEYS[4]) == 1
local jobs = {}
if not yield and not wait then
  -- Nothing else is claimed at this point, unless the answer to this script was lost and it is sent once more.
  give_back(lane, in_hand)
  release_due(lane, tonumber(ARGV[7]), ARGV[8])
  jobs = claim(lane, tonumber(ARGV[3]), tonumber(ARGV[7]), ARGV[8], ARGV[9])
end
if #jobs + in_hand > 0 then
  redis.call('PEXPIRE', lane.lease, ARGV[2])
else
  redis.call('DEL', lane.lease)
  show(KEYS[3], 'idle')
  if yield or redis.call('LLEN', lane.queue) > 0 then
    ring(KEYS[1])
  end
end
return jobs
