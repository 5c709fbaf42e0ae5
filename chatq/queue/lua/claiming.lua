-- Shared by the scripts that move jobs between a lane and its claims.

local function names(rq, chatq, number)
  local name = 'messages:' .. number
  local own = chatq .. ':lane:' .. number
  return {
    number = number,
    name = name,
    queue = rq .. ':queue:' .. name,
    started = rq .. ':wip:' .. name,
    scheduled = rq .. ':scheduled:' .. name,
    deferred = rq .. ':deferred:' .. name,
    job = rq .. ':job:',
    claims = own .. ':claims',
    lease = own .. ':lease',
    epoch = own .. ':epoch',
  }
end

-- Shows RQ's readers whether the worker is busy or idle, if it is registered.
local function show(worker, state)
  if redis.call('EXISTS', worker) == 1 then
    redis.call('HSET', worker, 'state', state)
  end
end

-- RQ's started registry holds executions, '<job>:<execution>'; a claim is always execution 'lane'. The score
-- lies a year ahead: every RQ reader cleans the registry up, and would otherwise fail or reorder claims.
local YEAR = 365 * 24 * 3600

local function claim(lane, most, now, time, worker)
  local jobs, claims, executions = {}, {}, {}
  while #jobs < most do
    local ids = redis.call('LPOP', lane.queue, most - #jobs)
    if not ids or #ids == 0 then
      break
    end
    for _, id in ipairs(ids) do
      local key = lane.job .. id
      local job = redis.call('HMGET', key, 'status', 'data', 'created_at', 'number_of_retries', 'exc_info')
      -- What an operator cancelled or deleted meanwhile is not done.
      if job[1] == 'queued' and string.find(id, '[^\32-\126]') then
        -- Somebody wrote it by hand: RQ gives no job such an id, and not everything that is told of it could read it.
        redis.call('HSET', key, 'status', 'failed')
      elseif job[1] == 'queued' then
        redis.call('HSET', key, 'status', 'started', 'started_at', time, 'worker_name', worker)
        redis.call('PERSIST', key)
        claims[#claims + 1] = id
        executions[#executions + 1] = now + YEAR
        executions[#executions + 1] = id .. ':lane'
        jobs[#jobs + 1] = {id, job[2] or '', job[3] or '', job[4] or '', job[5] and 1 or 0}
      end
    end
  end
  -- A thousand at a time: Lua's stack bounds the arguments of one call.
  for at = 1, #claims, 1000 do
    redis.call('RPUSH', lane.claims, unpack(claims, at, math.min(at + 999, #claims)))
    redis.call('ZADD', lane.started, unpack(executions, 2 * at - 1, 2 * math.min(at + 999, #claims)))
  end
  return jobs
end

-- Puts claims, but for the first `kept`, back at the head of their lane, in order; returns how many there were.
local function give_back(lane, kept)
  local ids = redis.call('LRANGE', lane.claims, kept, -1)
  for at = #ids, 1, -1 do
    local id = ids[at]
    redis.call('ZREM', lane.started, id .. ':lane')
    -- What an operator cancelled or deleted meanwhile stays so.
    if redis.call('HGET', lane.job .. id, 'status') == 'started' then
      redis.call('HSET', lane.job .. id, 'status', 'queued')
      redis.call('LPUSH', lane.queue, id)
    end
  end
  if kept == 0 then
    redis.call('DEL', lane.claims)
  else
    redis.call('LTRIM', lane.claims, 0, kept - 1)
  end
  return #ids
end

-- Moves the delayed jobs that are due to the end of their queue.
local function release_scheduled(scheduled, queue, job, now, time)
  local ids = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, 200)
  for _, id in ipairs(ids) do
    redis.call('ZREM', scheduled, id)
    if redis.call('HGET', job .. id, 'status') == 'scheduled' then
      redis.call('HSET', job .. id, 'status', 'queued', 'enqueued_at', time)
      redis.call('RPUSH', queue, id)
    end
  end
end

local function release_due(lane, now, time)
  release_scheduled(lane.scheduled, lane.queue, lane.job, now, time)
end
