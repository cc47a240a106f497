-- Refreshes the lease of one client: see LeaseRequest and LeaseResponse in lease_client.py.
-- All times are in milliseconds, by the clock of this server, which may be set to another time at any moment.
--
-- KEYS[1] is a hash from the id of each client to "has wants reserved per_second sequence expires_at".
-- KEYS[2] is a hash with these fields:
--   epoch: the time from which on the leases are known. It is set again when they may have been lost.
--   seen: the time of the last refresh.
--   leases: how many leases there were after it, and when the last of them expires: "number time".
--   day, used: the UTC day and its requests.
--   previous: the day before that, and its requests: "day used".
--   second_pause, daily_pause: the last pauses, each as "start length".
--
-- Version 0.1.0 of the library reads and writes KEYS[1], day and used as well: keep their format. It also writes pause
-- and day_pause, which are not read here.

local leases, account = KEYS[1], KEYS[2]
local client = ARGV[1]
local args = {}
for i = 2, #ARGV do
    args[i] = tonumber(ARGV[i])
end
local sequence, acknowledged, elapsed, request_epoch = unpack(args, 2, 5)
local lease_expiry, settling_time, own_limit, per_day, wants, has = unpack(args, 6, 11)
local request_day, released, debt, unused, reserve, min_used = unpack(args, 12, 17)
local second_pause, daily_pause = args[18], args[19]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000
local TURN = 3000
local MAX_DRIFT = 1000 -- a request takes less time than this, and leases leave room for it
local MAX_DIGITS = 15 -- a double holds such integers exactly
local day = math.floor(now / DAY)

local function integer(text)
    return text and #text <= MAX_DIGITS and string.match(text, '^%d+$') and tonumber(text)
end

-- Return two integers that a space separates, or nothing if the text has another form.
local function pair(text)
    local first, second = string.match(text or '', '^(%d+) (%d+)$')
    first, second = integer(first), integer(second)
    if first and second then
        return first, second
    end
end

local function join(...)
    local words = {...}
    for i, number in ipairs(words) do
        words[i] = string.format('%.0f', number)
    end
    return table.concat(words, ' ')
end

local function parse_lease(id, text)
    local has, wants, reserved, limit, sequence, expires_at =
        string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    return has and {id = id, has = tonumber(has), wants = tonumber(wants), reserved = tonumber(reserved),
        limit = tonumber(limit), sequence = tonumber(sequence), expires_at = tonumber(expires_at)}
end

local function write_lease(lease)
    redis.call('HSET', leases, lease.id,
        join(lease.has, lease.wants, lease.reserved, lease.limit, lease.sequence, lease.expires_at))
end

local fields = redis.call('HMGET', account, 'epoch', 'seen', 'day', 'used', 'previous', 'second_pause', 'daily_pause',
    'leases')
local epoch, seen, stored_day, used = integer(fields[1]), integer(fields[2]), integer(fields[3]), integer(fields[4])

-- Read the leases. There are more than were counted if version 0.1.0 has written some.
local others, own = {}, nil
local entries = redis.call('HGETALL', leases)
local stored_leases, last_expiry = pair(fields[8])
local is_complete = not stored_leases or #entries / 2 >= stored_leases or last_expiry <= now
for i = 1, #entries, 2 do
    local lease = parse_lease(entries[i], entries[i + 1])
    if lease and lease.id == client then
        own = lease
    elseif lease then
        table.insert(others, lease)
    else
        redis.call('HDEL', leases, entries[i]) -- what its client has is lost
        is_complete = false
    end
end
if own and own.sequence >= sequence then
    return {} -- a request that arrived late must not undo a later one
end

-- Start an epoch if leases may have been lost, or have expired too early or too late since the clock was set.
local is_known = is_complete and epoch and seen and now >= seen - MAX_DRIFT
if is_known and acknowledged > 0 then
    if not own or own.sequence < acknowledged then
        is_known = false
    elseif own.sequence == acknowledged then
        local refreshed_at = own.expires_at - lease_expiry
        is_known = math.abs(refreshed_at + elapsed - now) <= MAX_DRIFT
    end
end
if not is_known then
    epoch = now
end
local settling = math.max(0, epoch + settling_time - now) -- for how long no client may get more than it has

-- Count the leases of the other clients, and remove those that have expired.
local limit, others_have, others_reserved = own_limit, 0, 0
last_expiry = 0
local unserved, demands = {}, {}
for _, lease in ipairs(others) do
    if lease.expires_at <= now then
        redis.call('HDEL', leases, lease.id)
    else
        if lease.expires_at > now + lease_expiry then
            lease.expires_at = now + lease_expiry -- the clock was ahead
            write_lease(lease)
        end
        last_expiry = math.max(last_expiry, lease.expires_at)
        others_have = others_have + lease.has
        others_reserved = others_reserved + lease.reserved
        limit = math.min(limit, lease.limit)
        if lease.wants > 0 then
            demands[lease.id] = lease.wants
            table.insert(unserved, lease.id)
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
if settling > 0 then
    capacity = math.min(capacity, has) -- a client that is not known yet may have the rest
end

-- Find the requests of the day. After a clock that was a day ahead, they are those of the previous day.
local previous = fields[5] or ''
used = used or 0
if stored_day ~= day then
    local previous_day, previous_used = pair(previous)
    if stored_day then
        previous = join(stored_day, used)
    end
    used = previous_day == day and previous_used or 0
end

-- Reserve requests of the day.
if request_day == day then
    if request_epoch ~= epoch then
        used = math.max(used, min_used)
    end
    used = math.max(0, used - released)
else
    unused = 0
end
used = used + debt
local reserved = reserve
if per_day > 0 then
    reserved = math.max(0, math.min(reserve, per_day - used))
end
used = used + reserved
local midnight = (day + 1) * DAY
local exhausted_for = 0
if reserve > 0 and reserved == 0 and unused == 0 and others_reserved == 0 then
    exhausted_for = midnight - now
end

-- Extend the pauses. They end with the day in which they began.
local function extend_pause(name, stored, length)
    local start, stored_length = pair(stored)
    local stored_end = 0
    if start and start <= now then -- otherwise it was stored while the clock was ahead
        stored_end = math.min(start + stored_length, (math.floor(start / DAY) + 1) * DAY)
    end
    local pause_end = math.min(now + length, midnight)
    if length > 0 and pause_end > stored_end then
        redis.call('HSET', account, name, join(now, pause_end - now))
        stored_end = pause_end
    end
    return math.max(0, stored_end - now)
end
second_pause = extend_pause('second_pause', fields[6], second_pause)
daily_pause = extend_pause('daily_pause', fields[7], daily_pause)

-- Write both hashes.
local held = math.max(capacity, has)
if held + wants + unused + reserved == 0 then
    redis.call('HDEL', leases, client)
else
    write_lease({id = client, has = held, wants = wants, reserved = unused + reserved, limit = own_limit,
        sequence = sequence, expires_at = now + lease_expiry})
    redis.call('PEXPIRE', leases, lease_expiry)
    last_expiry = now + lease_expiry
end
redis.call('HSET', account, 'epoch', join(epoch), 'seen', join(now), 'day', join(day), 'used', join(used),
    'previous', previous, 'leases', join(redis.call('HLEN', leases), last_expiry))
redis.call('PEXPIREAT', account, join((day + 2) * DAY))

-- The more clients want permits, the longer each waits, so that together they refresh less often than they send.
local interval = math.min(1000, math.max(100, math.floor(2000 * claimants / limit)))
if capacity == 0 and settling > 0 then
    interval = math.ceil(settling)
elseif wants > 0 and target == 0 then
    interval = math.min(3000, TURN - now % TURN)
end
return {capacity, interval, epoch, day, reserved, used, exhausted_for, second_pause, daily_pause}
