-- The script of version 0.1.0, which may run beside the present one while processes are upgraded.
-- Refreshes the lease of one client: see LeaseRequest and LeaseResponse in lease_client.py.
-- All times are in milliseconds, by the clock of this server.
--
-- KEYS[1] is a hash from the id of each client to "has wants reserved per_second sequence expires_at".
-- KEYS[2] is a hash with the requests of the day and the pauses.
-- Clients of other versions of the library read both: keep their format.

local leases, account = KEYS[1], KEYS[2]
local client = ARGV[1]
local args = {}
for i = 2, #ARGV do
    args[i] = tonumber(ARGV[i])
end
local sequence, lease_expiry, limit, per_day, wants, has = unpack(args, 2, 7)
local request_day, released, debt, unused, reserve, min_used = unpack(args, 8, 13)
local pause, day_pause = args[14], args[15]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000
local TURN = 3000

-- Read the leases of the other clients, and remove those that have expired.
local others_have, others_reserved = 0, 0
local unserved, demands = {}, {}
local entries = redis.call('HGETALL', leases)
for i = 1, #entries, 2 do
    local id = entries[i]
    local other_has, other_wants, other_reserved, other_limit, last_sequence, expires_at =
        string.match(entries[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    if id == client then
        if tonumber(last_sequence) >= sequence then
            return {} -- a request that arrived late must not undo a later one
        end
    elseif tonumber(expires_at) <= now then
        redis.call('HDEL', leases, id)
    else
        others_have = others_have + other_has
        others_reserved = others_reserved + other_reserved
        limit = math.min(limit, tonumber(other_limit))
        if tonumber(other_wants) > 0 then
            demands[id] = tonumber(other_wants)
            table.insert(unserved, id)
        end
    end
end
if wants > 0 then
    demands[client] = wants
    table.insert(unserved, client)
end
local claimants = #unserved

-- Divide the permits max-min fairly: meet small demands in full, and split the rest evenly.
local rest, target, done = limit, 0, false
while #unserved > 0 and not done do
    local even_share, unsatisfied = rest / #unserved, {}
    done = true
    for _, id in ipairs(unserved) do
        if demands[id] <= even_share then
            rest = rest - demands[id]
            done = false
            if id == client then
                target = wants
            end
        else
            table.insert(unsatisfied, id)
        end
    end
    unserved = unsatisfied
end
if #unserved > 0 then
    table.sort(unserved)
    local share = math.floor(rest / #unserved)
    local remainder, turn = rest % #unserved, 0
    if share == 0 then
        -- There are fewer permits than clients: they take turns.
        turn = math.floor(now / TURN) * remainder
    end
    for i, id in ipairs(unserved) do
        if id == client then
            target = share
            if (i - 1 + turn) % #unserved < remainder then
                target = target + 1
            end
        end
    end
end
local capacity = math.max(0, math.min(target, limit - others_have))

-- Reserve requests of the day.
local day = math.floor(now / DAY)
local fields = redis.call('HMGET', account, 'day', 'used', 'pause', 'day_pause')
local used = 0
if tonumber(fields[1] or -1) == day then
    used = tonumber(fields[2])
end
if request_day == day then
    used = math.max(0, math.max(used, min_used) - released)
else
    unused = 0
end
used = used + debt
local reserved = reserve
if per_day > 0 then
    reserved = math.max(0, math.min(reserve, per_day - used))
end
used = used + reserved
local exhausted_for = 0
if reserve > 0 and reserved == 0 and unused == 0 and others_reserved == 0 then
    exhausted_for = (day + 1) * DAY - now
end

-- Extend the pauses, to the end of the day at most: other versions of the library may have stored later times.
local midnight = (day + 1) * DAY
local paused_until = math.min(midnight, math.max(tonumber(fields[3] or 0), pause > 0 and now + pause or 0))
local day_paused_until = math.min(midnight, math.max(tonumber(fields[4] or 0), day_pause > 0 and now + day_pause or 0))

-- Write both hashes.
local held = math.max(capacity, has)
if held + wants + unused + reserved == 0 then
    redis.call('HDEL', leases, client)
else
    local entry = {held, wants, unused + reserved, args[4], sequence, now + lease_expiry}
    for i, value in ipairs(entry) do
        entry[i] = string.format('%.0f', value)
    end
    redis.call('HSET', leases, client, table.concat(entry, ' '))
    redis.call('PEXPIRE', leases, lease_expiry)
end
redis.call('HSET', account, 'day', string.format('%.0f', day), 'used', string.format('%.0f', used),
    'pause', string.format('%.0f', paused_until), 'day_pause', string.format('%.0f', day_paused_until))
redis.call('PEXPIREAT', account, string.format('%.0f', (day + 2) * DAY))

-- The more clients want permits, the longer each waits, so that together they refresh less often than they send.
local interval = math.min(1000, math.max(100, math.floor(2000 * claimants / limit)))
if wants > 0 and target == 0 then
    interval = math.min(3000, TURN - now % TURN)
end
return {capacity, interval, day, reserved, used, exhausted_for, math.max(0, paused_until - now),
    math.max(0, day_paused_until - now)}
