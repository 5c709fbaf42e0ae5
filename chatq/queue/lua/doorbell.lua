-- For other scripts: the doorbell that idle workers wait for. It rings once for all that came since it was last heard.

local function ring(doorbell)
  if redis.call('LLEN', doorbell) == 0 then
    redis.call('RPUSH', doorbell, '1')
  end
end
