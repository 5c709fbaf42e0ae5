-- Renews the lease of an API process, and tells which processes hold one.
--
-- KEYS  1 leases: a sorted set of processes, by when their leases end (ms, by this server's clock)
-- ARGV  1 the process    2 its lease in ms
-- Returns {1 if its lease had not ended, else 0, the processes that hold one}.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {known and 1 or 0, redis.call('ZRANGE', KEYS[1], 0, -1)}
