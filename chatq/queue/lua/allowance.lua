-- For other scripts: what somebody has used up of an allowance that comes back with time, as chatq/domain/rate.py
-- has it. A key holds the time at which nothing is used up any more, in microseconds since 1970, and exists until then.

local function used_up(key, now, whole)
  local whole_at = tonumber(redis.call('GET', key) or 0)
  local used = math.max(whole_at - now, 0)
  -- More than there is: the server's clock was set back, or the limit lowered. Nobody is to wait for that.
  return used <= whole and used or 0
end

local function use_up(key, now, used)
  -- A number as text would lose its last digits.
  redis.call('SET', key, string.format('%.0f', now + used), 'PX', math.ceil(used / 1000))
end

local function microseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
