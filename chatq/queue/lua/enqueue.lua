-- Accepts message jobs in their order, each once: running it again changes nothing.
--
-- KEYS  1 doorbell    2 RQ's set of queues
-- ARGV  1 RQ's prefix    2 prefix of the memory of client ids    3 seconds for which a client id is remembered
--       then for each job: id, digest of the content ('' for a job without a client id), data, name of its lane,
--       time (RFC 3339), description
-- Returns for each job 0 queued, 1 a repeat of what was accepted before, 2 other content under the same client id.

--@include accepting
--@include doorbell

local answers, queued = {}, false
for at = 4, #ARGV, 6 do
  local answer = accept(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  answers[#answers + 1] = answer
  queued = queued or answer == 0
end
if queued then
  ring(KEYS[1])
end
return answers
