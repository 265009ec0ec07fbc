-- The queue as functions: the contract for sectors, whatever language their programs are written in (docs/reference/sql.md).
--
-- Every function is SECURITY DEFINER and asks itself who is calling: the session's role, which no SET ROLE changes.
-- Every function is created with the search path of this moment: the town's schema, then pg_temp. Without pg_temp in last
-- place a caller's temporary table named `queue_entries` would be found before ours.
--
-- Locks, in one order everywhere: thread keys, segnalazione, entry. `claim` locks entries only and never waits.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- ---------------------------------------------------------------------------------------------------------------------
-- What the functions need beside the tables

-- Settings that SQL must know, written when a ruleset is activated: queue.max_attempts, outbox.mode, comune.time_zone ...
create table settings (
  name        text primary key,
  value       jsonb not null,
  updated_at  timestamptz not null default now()
);

-- Which role speaks for which sector. Without a sector it is an operator's: every sector that is not confidential.
create table sector_roles (
  role    text not null,
  sector  text references sectors,
  at      timestamptz not null default now()
);
create unique index sector_roles_once on sector_roles (role, coalesce(sector, ''));

-- A case that its own sector is giving away right now: lets the giving transaction, and no other, finish its writing.
create table handovers (
  segnalazione  bigint not null,
  tx            xid8 not null default pg_current_xact_id(),
  primary key (segnalazione, tx)
);

-- The case that this one was opened from because a second sector is competent too: it shows that case's messages.
alter table segnalazioni add column linked_to bigint references segnalazioni;
create index segnalazioni_linked_to on segnalazioni (linked_to) where linked_to is not null;

-- A retry knows its key and its number, but the case may have left for another sector meanwhile.
create index history_by_key on history (key) where key is not null;
-- For changes(): a sector's own events, and the few that took a case from one sector to another.
create index history_by_sector on history (sector, position);
create index history_moves on history (position) where event in ('rerouted', 'fallback');

-- ---------------------------------------------------------------------------------------------------------------------
-- Who is calling

-- The daemon, the schema's owner, or somebody who has the owner's rights (a superuser).
create function full_access() returns boolean language plpgsql stable parallel safe security definer
  set search_path from current as $$
begin
  return pg_has_role(session_user, current_user, 'USAGE');
end
$$;

-- The sectors that the session's role speaks for, its own row or that of a role it is a member of.
create function my_sectors() returns text[] language plpgsql stable parallel safe security definer
  set search_path from current as $$
begin
  return (
    select coalesce(array_agg(distinct s.id), '{}')
      from sector_roles r
      join pg_catalog.pg_roles g on g.rolname = r.role
      join sectors s on s.id = r.sector or (r.sector is null and not s.confidential)
     where pg_has_role(session_user, g.oid, 'USAGE'));
end
$$;

create function handed_over() returns bigint[] language plpgsql stable security definer set search_path from current as $$
begin
  return (select coalesce(array_agg(h.segnalazione), '{}') from handovers h where h.tx = pg_current_xact_id_if_assigned());
end
$$;

create function may(sector text) returns boolean language plpgsql stable security definer set search_path from current as $$
begin
  return full_access() or may.sector = any(my_sectors());
end
$$;

-- Under row-level security, so it answers for the caller's own sectors only.
create function is_mine(segnalazione bigint) returns boolean language plpgsql stable security definer
  set search_path from current as $$
begin
  return exists (select from segnalazioni s where s.id = is_mine.segnalazione)
      or exists (select from segnalazioni s where s.linked_to = is_mine.segnalazione);
end
$$;

create function message_is_mine(message bigint) returns boolean language plpgsql stable security definer
  set search_path from current as $$
begin
  return exists (select from messages m where m.id = message_is_mine.message);
end
$$;

-- Who did it, for the history. A program names its user with `set smista.actor`; a sector's name cannot be shaken off.
create function actor() returns text language plpgsql stable set search_path from current as $$
declare
  said text := nullif(btrim(left(current_setting('smista.actor', true), 200)), '');
begin
  if full_access() then
    return coalesce(said, session_user::text);
  end if;
  return session_user || coalesce('/' || said, '');
end
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Rows that the functions return. Views, so that columns can be added at the end without changing a signature.

create view claimed as
  select null::uuid as lease, null::text as number, null::text as cause, null::text as channel, null::text as kind,
         null::text as category, null::text as priority, null::text as subject, null::text as text, null::jsonb as sender,
         null::jsonb as place, null::jsonb as messages, null::jsonb as attachments, null::timestamptz as received_at,
         null::timestamptz as due_at, null::integer as attempts, null::jsonb as decision,
         null::text as sector, null::timestamptz as leased_until
   where false;

create view change as
  select null::bigint as position, null::timestamptz as at, null::text as sector, null::text as number,
         null::integer as seq, null::text as event, null::text as actor, null::jsonb as payload
   where false;

-- A case as its queue sees it. What take, release, reroute and the others return: the state after them.
create view entry with (security_barrier) as
  select s.number, e.sector, e.state, e.cause, s.kind, s.category, s.priority, s.subject, s.channel, e.received_at, s.due_at,
         e.attempts, e.messages, e.seen, e.worker, e.leased_until, e.not_before, s.assigned_to, s.planned_for,
         s.suspended_at, s.closed_at, s.outcome, e.updated_at
    from queue_entries e join segnalazioni s on s.id = e.segnalazione
   where (select full_access()) or e.sector = any ((select my_sectors())::text[]);

-- ---------------------------------------------------------------------------------------------------------------------
-- History: positions that survive a restore

-- Positions begin with the transaction id, which starts low again when a dump is restored into another cluster. The
-- offset keeps them growing. A function and not a row, because the planner makes a constant of it.
create function history_offset() returns bigint language sql immutable parallel safe return 0::bigint;

-- To be called when a daemon starts, before it writes (and by every sweep): after a restore it moves the offset.
create function align_history() returns bigint language plpgsql set search_path from current as $$
declare
  highest bigint;
  here bigint;
begin
  -- Twice, the second time alone: several daemons may start at once.
  for turn in 1..2 loop
    highest := (select h.position >> 20 from history h order by h.position desc limit 1);
    here := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
    exit when highest is null or highest < here + history_offset();
    if turn = 1 then
      lock table history in share row exclusive mode;
    else
      execute format('create or replace function history_offset() returns bigint language sql immutable parallel safe return %s::bigint',
                     highest - here + 1);
    end if;
  end loop;
  return history_offset();
end
$$;

create or replace function seal_history() returns trigger language plpgsql set search_path from current as $$
declare
  last record;
begin
  select h.seq, h.hash into last from history h where h.segnalazione = new.segnalazione order by h.seq desc limit 1;
  new.seq := coalesce(last.seq, 0) + 1;
  new.tx := pg_current_xact_id();
  new.position := ((new.tx::text::bigint + history_offset()) << 20) | nextval('history_n');
  new.payload_hash := sha256(convert_to(coalesce(new.payload, 'null'::jsonb)::text, 'UTF8'));
  new.hash := history_hash(last.hash, new);
  return new;
end
$$;

-- The link of the chain: the one before, the payload's hash, and every column that says what happened.
create function history_link(before bytea, payload_hash bytea, segnalazione bigint, seq integer, sector text, event text, actor text,
  key text, at timestamptz) returns bytea language sql immutable parallel safe as $$
  select sha256(coalesce(before, ''::bytea) || payload_hash
    || convert_to(segnalazione || '|' || seq || '|' || sector || '|' || event || '|' || actor || '|' || coalesce(key, '') || '|'
       || extract(epoch from at)::text, 'UTF8'))
$$;

create function history_hash(before bytea, row_ history) returns bytea language sql immutable parallel safe as $$
  select history_link(before, row_.payload_hash, row_.segnalazione, row_.seq, row_.sector, row_.event, row_.actor, row_.key, row_.at)
$$;

create function record(segnalazione bigint, sector text, event text, payload jsonb, key text default null)
returns void language plpgsql set search_path from current as $$
begin
  insert into history (segnalazione, sector, event, actor, key, payload)
  values (record.segnalazione, record.sector, record.event, actor(), record.key, record.payload);
end
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Pieces of the functions below. Nobody but they may call them.

create function entry_of(segnalazione bigint) returns entry language sql stable set search_path from current as $$
  select s.number, e.sector, e.state, e.cause, s.kind, s.category, s.priority, s.subject, s.channel, e.received_at, s.due_at,
         e.attempts, e.messages, e.seen, e.worker, e.leased_until, e.not_before, s.assigned_to, s.planned_for,
         s.suspended_at, s.closed_at, s.outcome, e.updated_at
    from queue_entries e join segnalazioni s on s.id = e.segnalazione
   where e.segnalazione = entry_of.segnalazione
$$;

create function require_text(what text, value text) returns void language plpgsql immutable set search_path from current as $$
begin
  if value is null or btrim(value, E' \t\r\n') = '' then
    raise exception '% must not be empty', what using errcode = 'SM007', constraint = 'empty', hint = 'Say it in a few words; the history keeps it.';
  end if;
end
$$;

create function unknown_number(number text) returns void language plpgsql set search_path from current as $$
begin
  raise exception 'there is no segnalazione % among those of your sector', coalesce(unknown_number.number, '(null)')
    using errcode = 'SM003', constraint = 'unknown_number', hint = 'Numbers look like 2026-000123. It may have been rerouted to another sector.';
end
$$;

-- Locks the case. The same answer whether it does not exist or is another sector's.
create function lock_case(number text) returns segnalazioni language plpgsql set search_path from current as $$
declare
  found_case segnalazioni;
begin
  select s.* into found_case from segnalazioni s
   where s.number = lock_case.number and may(s.sector) for no key update;
  return found_case;
end
$$;

create function must_be_open(it segnalazioni, doing text) returns void language plpgsql stable set search_path from current as $$
begin
  if exists (select from queue_entries e where e.segnalazione = it.id and e.state = 'closed') then
    raise exception 'segnalazione % is closed: it cannot be %', it.number, doing
      using errcode = 'SM004', constraint = 'closed', hint = 'reopen(number, reason) opens it again.';
  end if;
end
$$;

-- Checks that a sector exists and still works; `mine` asks as well that the caller speaks for it.
create function check_sector(wanted text, mine boolean) returns void language plpgsql stable set search_path from current as $$
declare
  it sectors;
begin
  select s.* into it from sectors s where s.id = wanted;
  if not found then
    raise exception 'there is no sector %', coalesce(quote_literal(wanted), '(null)') using errcode = 'SM003', constraint = 'unknown_sector',
      hint = 'Sectors: ' || coalesce((select string_agg(s.id, ', ' order by s.id) from sectors s where not s.removed), 'none yet');
  end if;
  if mine and not may(wanted) then
    raise exception 'role % does not speak for sector %', quote_literal(session_user), quote_literal(wanted)
      using errcode = 'SM002', constraint = 'not_your_sector', hint = 'Your sectors: ' || coalesce(nullif(array_to_string(my_sectors(), ', '), ''), 'none');
  end if;
  if it.removed and not mine then
    raise exception 'sector % was removed', quote_literal(wanted) using errcode = 'SM003', constraint = 'removed_sector',
      hint = 'Sectors: ' || coalesce((select string_agg(s.id, ', ' order by s.id) from sectors s where not s.removed), 'none yet');
  end if;
end
$$;

-- What an earlier call with the same key returned, if there was one. The same key with other words is a mistake.
create function done_before(number text, event text, key text, same jsonb) returns entry
language plpgsql stable set search_path from current as $$
declare
  it record;
begin
  if done_before.key is null then
    return null;
  end if;
  -- The rows are visible to the sector that wrote them even when the case has left it.
  select h.segnalazione, h.payload into it from history h
   where h.key = done_before.key and h.event = done_before.event
     and (h.payload #>> '{result,number}' = done_before.number
          or h.segnalazione = (select s.id from segnalazioni s where s.number = done_before.number))
   limit 1;
  if not found then
    return null;
  end if;
  if it.payload is null then
    return entry_of(it.segnalazione);
  end if;
  if not it.payload @> same then
    raise exception 'key % was used for another call on segnalazione %', quote_literal(done_before.key), done_before.number
      using errcode = 'SM005', constraint = 'key_reused', hint = 'A key names one call and its retries. Take a new key for a new call.';
  end if;
  return jsonb_populate_record(null::entry, it.payload -> 'result');
end
$$;

create function fallback_sector() returns text language sql stable set search_path from current as $$
  select s.id from sectors s where s.fallback and not s.removed
$$;

create function max_attempts() returns integer language sql stable set search_path from current as $$
  select coalesce((select greatest((s.value #>> '{}')::integer, 1) from settings s where s.name = 'queue.max_attempts'), 5)
$$;

-- Moves a case whose row is locked to another sector's queue. The lease, the person and the plan were the old sector's.
create function move_case(it segnalazioni, to_sector text, cause text) returns void
language plpgsql set search_path from current as $$
begin
  update segnalazioni s set sector = move_case.to_sector, assigned_to = null, planned_for = null where s.id = it.id;
  update queue_entries e
     set sector = move_case.to_sector, state = 'ready', cause = move_case.cause, attempts = 0, seen = 0, not_before = null,
         lease = null, worker = null, leased_until = null, updated_at = clock_timestamp()
   where e.segnalazione = it.id;
end
$$;

-- Puts leases that ran out back, of one sector or of all. Never waits: what is locked is looked at next time.
create function expire(only_sector text, at_most integer) returns integer language plpgsql set search_path from current as $$
declare
  moment timestamptz := clock_timestamp();
  candidate bigint;
  it segnalazioni;
  e queue_entries;
  fallback text;
  back integer := 0;
begin
  for candidate in
    select q.segnalazione from queue_entries q
     where q.state = 'leased' and q.leased_until <= moment and (only_sector is null or q.sector = only_sector)
     order by q.leased_until limit at_most
  loop
    select s.* into it from segnalazioni s where s.id = candidate for no key update skip locked;
    continue when not found;
    select q.* into e from queue_entries q
     where q.segnalazione = candidate and q.state = 'leased' and q.leased_until <= moment for update skip locked;
    continue when not found;
    update queue_entries q
       set state = 'ready', attempts = q.attempts + 1, lease = null, worker = null, leased_until = null,
           cause = case when q.seen < q.messages then 'follow-up' else q.cause end, updated_at = clock_timestamp()
     where q.segnalazione = candidate;
    perform record(candidate, e.sector, 'lease-expired', jsonb_build_object('worker', e.worker, 'attempts', e.attempts + 1));
    back := back + 1;
    if e.attempts + 1 >= max_attempts() then
      fallback := fallback_sector();
      -- What is confidential stays where it is, whatever happens: status shows its attempts.
      if fallback <> e.sector and not exists (select from sectors s where s.id = e.sector and s.confidential) then
        insert into handovers (segnalazione) values (candidate) on conflict do nothing;
        perform move_case(it, fallback, 'max-attempts');
        perform record(candidate, fallback, 'fallback', jsonb_build_object('number', it.number, 'from', e.sector, 'to', fallback,
          'attempts', e.attempts + 1, 'reason', format('%s leases in sector %s ran out', e.attempts + 1, e.sector)));
        delete from handovers h where h.segnalazione = candidate and h.tx = pg_current_xact_id();
      end if;
    end if;
  end loop;
  return back;
end
$$;

-- The entry that a lease holds, with case and entry locked in the one order; nothing when the lease is stale.
create function lock_lease(wanted uuid) returns queue_entries language plpgsql set search_path from current as $$
declare
  candidate bigint;
  e queue_entries;
begin
  select q.segnalazione into candidate from queue_entries q where q.lease = wanted and may(q.sector);
  if found then
    perform from segnalazioni s where s.id = candidate for no key update;
    select q.* into e from queue_entries q
     where q.segnalazione = candidate and q.lease = wanted and q.leased_until > clock_timestamp() for update;
  end if;
  return e;
end
$$;

create function stale_lease(lease uuid) returns void language plpgsql set search_path from current as $$
begin
  raise exception 'lease % is stale: it ran out, was released, or the case was rerouted, answered or closed meanwhile', stale_lease.lease
    using errcode = 'SM001', constraint = 'stale_lease', hint = 'Nothing was changed. Claim again; extend(lease, by) in time keeps a lease.';
end
$$;

create function lease_before(lease uuid, events text[]) returns entry language sql stable set search_path from current as $$
  select (jsonb_populate_record(null::entry, h.payload -> 'result')).*
    from history h where h.key = lease_before.lease::text and h.event = any(lease_before.events) limit 1
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- The contract

-- Gives up to `max` ready entries of a sector to a worker, the urgent first, then the oldest.
create function claim(sector text, worker text, max integer default 1, lease_for interval default '5 minutes')
returns setof claimed language plpgsql security definer rows 10 set search_path from current as $$
declare
  moment timestamptz := clock_timestamp();
  ids bigint[];
begin
  perform check_sector(claim.sector, true);
  perform require_text('worker', claim.worker);
  if claim.max is null or claim.max not between 1 and 1000 then
    raise exception 'max is %, but must lie between 1 and 1000', coalesce(claim.max::text, 'null') using errcode = 'SM007', constraint = 'out_of_bounds',
      hint = 'Claim again when these are done.';
  end if;
  if claim.lease_for is null or claim.lease_for < interval '1 second' or claim.lease_for > interval '24 hours' then
    raise exception 'lease_for is %, but must lie between 1 second and 24 hours', coalesce(claim.lease_for::text, 'null')
      using errcode = 'SM007', constraint = 'out_of_bounds', hint = 'extend(lease, by) prolongs a lease; take(lease) ends it and keeps the case.';
  end if;
  perform expire(claim.sector, 100);
  with picked as materialized (
    select q.segnalazione from queue_entries q
     where q.sector = claim.sector and q.state = 'ready' and (q.not_before is null or q.not_before <= moment)
     order by q.rank, q.received_at, q.segnalazione
     limit claim.max for update skip locked
  ), held as (
    update queue_entries q
       set state = 'leased', lease = gen_random_uuid(), worker = left(claim.worker, 200), leased_until = moment + claim.lease_for,
           not_before = null, seen = q.messages, updated_at = moment
      from picked p where q.segnalazione = p.segnalazione
    returning q.segnalazione
  )
  select array_agg(h.segnalazione) into ids from held h;
  -- A second statement, with a newer snapshot: it shows every message that `seen` has just counted.
  return query
    select q.lease, s.number, q.cause, s.channel, s.kind, s.category, s.priority, s.subject,
           m.all_ -> 0 ->> 'text', s.sender, s.place, coalesce(m.all_, '[]'), coalesce(a.all_, '[]'), s.received_at, s.due_at,
           q.attempts, s.decision, q.sector, q.leased_until
      from queue_entries q
      join segnalazioni s on s.id = q.segnalazione
      left join lateral (
        select jsonb_agg(jsonb_build_object('id', m.id, 'from', m.sender, 'subject', m.subject, 'text', m.text, 'quoted', m.quoted,
                 'received_at', m.received_at, 'sent_at', m.sent_at, 'notes', m.notes) order by m.received_at, m.id) as all_
          from messages m
         where m.segnalazione = s.id or (m.segnalazione = s.linked_to and m.created_at <= s.opened_at)
      ) m on true
      left join lateral (
        select jsonb_agg(jsonb_build_object('id', a.id, 'message', a.message, 'name', a.name, 'type', a.media_type, 'size', a.size,
                 'inline', a.inline, 'url', '/v1/attachments/' || a.id) order by a.id) as all_
          from messages m join attachments a on a.message = m.id
         where m.segnalazione = s.id or (m.segnalazione = s.linked_to and m.created_at <= s.opened_at)
      ) a on true
     where q.segnalazione = any(ids)
     order by q.rank, q.received_at, q.segnalazione;
end
$$;

-- The sector accepts the case. Again with the same lease: the same answer. With messages that came since the claim the entry
-- is left ready (state 'ready', cause 'follow-up' in the answer): claim it again and read them.
create function take(lease uuid) returns setof entry language plpgsql security definer rows 1 set search_path from current as $$
declare
  e queue_entries;
  result entry;
begin
  e := lock_lease(take.lease);
  if e.segnalazione is null then
    result := lease_before(take.lease, array['taken', 'left-ready']);
    if result.number is null then
      perform stale_lease(take.lease);
    end if;
    return next result;
    return;
  end if;
  update queue_entries q
     set state = case when q.seen < q.messages then 'ready' else 'taken' end,
         cause = case when q.seen < q.messages then 'follow-up' else q.cause end,
         worker = case when q.seen < q.messages then null else q.worker end,
         attempts = 0, lease = null, leased_until = null, updated_at = clock_timestamp()
   where q.segnalazione = e.segnalazione;
  result := entry_of(e.segnalazione);
  perform record(e.segnalazione, e.sector, case result.state when 'taken' then 'taken' else 'left-ready' end,
    jsonb_build_object('worker', e.worker, 'result', to_jsonb(result)), take.lease::text);
  return next result;
end
$$;

-- Gives the entry back, by intention: costs no attempt. With `retry_in` nobody is offered it before.
create function release(lease uuid, reason text, retry_in interval default '0') returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  e queue_entries;
  result entry;
begin
  perform require_text('reason', release.reason);
  if release.retry_in is null or release.retry_in < interval '0' or release.retry_in > interval '366 days' then
    raise exception 'retry_in is %, but must lie between 0 and 366 days', coalesce(release.retry_in::text, 'null')
      using errcode = 'SM007', constraint = 'out_of_bounds', hint = 'Leave it out to offer the entry again at once.';
  end if;
  e := lock_lease(release.lease);
  if e.segnalazione is null then
    result := lease_before(release.lease, array['released']);
    if result.number is null then
      perform stale_lease(release.lease);
    end if;
    return next result;
    return;
  end if;
  -- A message that came meanwhile does not wait for retry_in.
  update queue_entries q
     set state = 'ready', lease = null, worker = null, leased_until = null, updated_at = clock_timestamp(),
         cause = case when q.seen < q.messages then 'follow-up' else q.cause end,
         not_before = case when q.seen < q.messages or release.retry_in = interval '0' then null
                           else clock_timestamp() + release.retry_in end
   where q.segnalazione = e.segnalazione;
  result := entry_of(e.segnalazione);
  perform record(e.segnalazione, e.sector, 'released', jsonb_build_object('worker', e.worker, 'reason', release.reason,
    'retry_in', release.retry_in::text, 'result', to_jsonb(result)), release.lease::text);
  return next result;
end
$$;

-- Prolongs a lease that still holds, by at most 24 hours from now.
create function extend(lease uuid, by interval) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  e queue_entries;
begin
  if extend.by is null or extend.by < interval '1 second' or extend.by > interval '24 hours' then
    raise exception 'by is %, but must lie between 1 second and 24 hours', coalesce(extend.by::text, 'null') using errcode = 'SM007', constraint = 'out_of_bounds',
      hint = 'take(lease) keeps the case for as long as it needs.';
  end if;
  e := lock_lease(extend.lease);
  if e.segnalazione is null then
    perform stale_lease(extend.lease);
  end if;
  update queue_entries q
     set leased_until = least(q.leased_until + extend.by, clock_timestamp() + interval '24 hours'), updated_at = clock_timestamp()
   where q.segnalazione = e.segnalazione;
  return next entry_of(e.segnalazione);
end
$$;

-- Hands the case to another sector, whoever holds it now. Not a closed one.
create function reroute(number text, to_sector text, reason text, key text default null) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
  result entry;
begin
  perform require_text('reason', reroute.reason);
  it := lock_case(reroute.number);
  result := done_before(reroute.number, 'rerouted', reroute.key,
    jsonb_build_object('to', reroute.to_sector, 'reason', reroute.reason));
  if result.number is not null then
    return next result;
    return;
  end if;
  if it.id is null then
    perform unknown_number(reroute.number);
  end if;
  perform check_sector(reroute.to_sector, false);
  perform must_be_open(it, 'rerouted');
  if it.sector = reroute.to_sector then
    raise exception 'segnalazione % is with sector % already', it.number, quote_literal(it.sector)
      using errcode = 'SM004', constraint = 'same_sector', hint = 'release(lease, reason) gives it back to the same sector''s queue.';
  end if;
  insert into handovers (segnalazione) values (it.id) on conflict do nothing;
  perform move_case(it, reroute.to_sector, 'rerouted');
  result := entry_of(it.id);
  perform record(it.id, reroute.to_sector, 'rerouted', jsonb_build_object('number', it.number, 'from', it.sector, 'to', reroute.to_sector,
    'reason', reroute.reason, 'result', to_jsonb(result)), reroute.key);
  delete from handovers h where h.segnalazione = it.id and h.tx = pg_current_xact_id();
  return next result;
end
$$;

-- What must leave for the citizen: held until somebody switches outbox.mode on.
create function write_outbox(it segnalazioni, event text, payload jsonb) returns void
language plpgsql set search_path from current as $$
declare
  mode text := coalesce((select s.value #>> '{}' from settings s where s.name = 'outbox.mode'), 'hold');
begin
  if mode = 'off' then
    raise exception 'nothing may leave: outbox.mode is "off"' using errcode = 'SM006', constraint = 'outbox_off',
      hint = 'Set outbox.mode to "hold" or "on" in smista.toml. close(number, outcome) ends a case without an answer.';
  end if;
  insert into outbox (segnalazione, event, payload, state)
  values (it.id, write_outbox.event, write_outbox.payload, case mode when 'on' then 'ready' else 'held' end);
end
$$;

-- Answers the citizen on the channel that the case came in on. A message that came after the last claim keeps the entry ready:
-- whoever answered has not read it.
create function answer(number text, text text, key text default null) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
  result entry;
begin
  perform require_text('text', answer.text);
  it := lock_case(answer.number);
  result := done_before(answer.number, 'answered', answer.key, jsonb_build_object('text', answer.text));
  if result.number is not null then
    return next result;
    return;
  end if;
  if it.id is null then
    perform unknown_number(answer.number);
  end if;
  perform must_be_open(it, 'answered');
  perform write_outbox(it, 'answer', jsonb_build_object('number', it.number, 'text', answer.text, 'actor', actor()));
  update queue_entries q
     set state = case when q.seen > 0 and q.seen < q.messages then 'ready' else 'answered' end,
         cause = case when q.seen > 0 and q.seen < q.messages then 'follow-up' else q.cause end,
         attempts = 0, not_before = null, lease = null, leased_until = null, updated_at = clock_timestamp()
   where q.segnalazione = it.id;
  update segnalazioni s set suspended_at = null where s.id = it.id and s.suspended_at is not null;
  result := entry_of(it.id);
  perform record(it.id, it.sector, 'answered', jsonb_build_object('text', answer.text, 'result', to_jsonb(result)), answer.key);
  return next result;
end
$$;

-- Ends the case. `outcome` is what was done, in the sector's words. Not while a message waits that the last claim did not show:
-- nobody would ever read it. A case that its sector never claimed can be closed as it is: whoever does so goes by its number.
create function close(number text, outcome text, key text default null) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
  e queue_entries;
  result entry;
begin
  perform require_text('outcome', close.outcome);
  it := lock_case(close.number);
  result := done_before(close.number, 'closed', close.key, jsonb_build_object('outcome', close.outcome));
  if result.number is not null then
    return next result;
    return;
  end if;
  if it.id is null then
    perform unknown_number(close.number);
  end if;
  perform must_be_open(it, 'closed again');
  -- Locked before it is looked at: a claim, which locks nothing else, may be showing the message at this moment.
  select q.* into e from queue_entries q where q.segnalazione = it.id for update;
  if e.seen > 0 and e.seen < e.messages then
    raise exception 'segnalazione % has a message that came after the last claim: it cannot be closed unread', it.number
      using errcode = 'SM004', constraint = 'unread', hint = case e.state
        when 'leased' then 'take(lease) or release(lease, reason) offers it again at once: claim it, read the message, then close.'
        else 'A message came since it was claimed: claim it again, read the message, then close.' end;
  end if;
  update queue_entries q
     set state = 'closed', lease = null, leased_until = null, not_before = null, updated_at = clock_timestamp()
   where q.segnalazione = it.id;
  update segnalazioni s set closed_at = now(), outcome = close.outcome, suspended_at = null where s.id = it.id;
  result := entry_of(it.id);
  perform record(it.id, it.sector, 'closed', jsonb_build_object('outcome', close.outcome, 'unseen', e.messages - e.seen,
    'result', to_jsonb(result)), close.key);
  return next result;
end
$$;

-- Opens an answered or closed case again: ready in its sector.
create function reopen(number text, reason text) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
  e queue_entries;
begin
  perform require_text('reason', reopen.reason);
  it := lock_case(reopen.number);
  if it.id is null then
    perform unknown_number(reopen.number);
  end if;
  select q.* into e from queue_entries q where q.segnalazione = it.id for update;
  if e.state not in ('answered', 'closed') then
    raise exception 'segnalazione % is %: it is open already', it.number, e.state
      using errcode = 'SM004', constraint = 'open_already', hint = 'Only an answered or closed case can be opened again.';
  end if;
  update queue_entries q
     set state = 'ready', cause = 'reopened', attempts = 0, not_before = null, worker = null, updated_at = clock_timestamp()
   where q.segnalazione = it.id;
  update segnalazioni s set closed_at = null, outcome = null where s.id = it.id;
  perform record(it.id, it.sector, 'reopened', jsonb_build_object('reason', reopen.reason, 'was', e.state, 'outcome', it.outcome));
  return next entry_of(it.id);
end
$$;

-- A remark for colleagues, on any case.
create function note(number text, text text) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
begin
  perform require_text('text', note.text);
  it := lock_case(note.number);
  if it.id is null then
    perform unknown_number(note.number);
  end if;
  perform record(it.id, it.sector, 'noted', jsonb_build_object('text', note.text));
  return next entry_of(it.id);
end
$$;

-- Names the person who sees to it; null or empty: nobody.
create function assign(number text, person text) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
begin
  it := lock_case(assign.number);
  if it.id is null then
    perform unknown_number(assign.number);
  end if;
  perform must_be_open(it, 'assigned');
  update segnalazioni s set assigned_to = nullif(btrim(assign.person), '') where s.id = it.id;
  perform record(it.id, it.sector, 'assigned', jsonb_build_object('person', nullif(btrim(assign.person), ''), 'before', it.assigned_to));
  return next entry_of(it.id);
end
$$;

-- The day on which it will be done; null: none.
create function plan(number text, day date) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
begin
  it := lock_case(plan.number);
  if it.id is null then
    perform unknown_number(plan.number);
  end if;
  perform must_be_open(it, 'planned');
  update segnalazioni s set planned_for = plan.day where s.id = it.id;
  perform record(it.id, it.sector, 'planned', jsonb_build_object('day', plan.day, 'before', it.planned_for));
  return next entry_of(it.id);
end
$$;

-- Asks the citizen for something that is missing: suspends the clock until an answer comes. The sector has taken the case.
create function ask(number text, text text) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
begin
  perform require_text('text', ask.text);
  it := lock_case(ask.number);
  if it.id is null then
    perform unknown_number(ask.number);
  end if;
  perform must_be_open(it, 'asked about');
  perform write_outbox(it, 'ask', jsonb_build_object('number', it.number, 'text', ask.text, 'actor', actor()));
  update queue_entries q
     set state = case when q.seen > 0 and q.seen < q.messages then 'ready' else 'taken' end,
         cause = case when q.seen > 0 and q.seen < q.messages then 'follow-up' else q.cause end,
         attempts = 0, not_before = null, lease = null, leased_until = null, updated_at = clock_timestamp()
   where q.segnalazione = it.id;
  update segnalazioni s set suspended_at = coalesce(s.suspended_at, now()) where s.id = it.id;
  perform record(it.id, it.sector, 'asked', jsonb_build_object('text', ask.text));
  return next entry_of(it.id);
end
$$;

-- Its number in another system (protocollo, work order). The same again changes nothing.
create function reference(number text, system text, id text, day date) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
begin
  perform require_text('system', reference.system);
  perform require_text('id', reference.id);
  it := lock_case(reference.number);
  if it.id is null then
    perform unknown_number(reference.number);
  end if;
  insert into case_references as r (segnalazione, system, id, day)
  values (it.id, reference.system, reference.id, reference.day)
  on conflict on constraint case_references_pkey do update set day = excluded.day where r.day is distinct from excluded.day;
  if found then
    perform record(it.id, it.sector, 'referenced',
      jsonb_build_object('system', reference.system, 'id', reference.id, 'day', reference.day));
  end if;
  return next entry_of(it.id);
end
$$;

-- A second sector is competent too: a linked case of its own, with the messages of this one. Returns the new case.
create function also(number text, sector text, reason text, key text default null) returns setof entry
language plpgsql security definer rows 1 set search_path from current as $$
declare
  it segnalazioni;
  e queue_entries;
  other bigint;
  zone text := coalesce((select s.value #>> '{}' from settings s where s.name = 'comune.time_zone'), 'Europe/Rome');
  new_number text;
  result entry;
begin
  perform require_text('reason', also.reason);
  it := lock_case(also.number);
  if it.id is null then
    perform unknown_number(also.number);
  end if;
  -- The first call's answer is the new case's row, so its number is looked up by what was asked.
  if also.key is not null then
    select (jsonb_populate_record(null::entry, h.payload -> 'result')).* into result from history h
     where h.segnalazione = it.id and h.event = 'linked' and h.key = also.key;
    if found then
      if result.sector is distinct from also.sector then
        raise exception 'key % was used for another call on segnalazione %', quote_literal(also.key), also.number
          using errcode = 'SM005', constraint = 'key_reused', hint = 'A key names one call and its retries. Take a new key for a new call.';
      end if;
      return next result;
      return;
    end if;
  end if;
  perform check_sector(also.sector, false);
  perform must_be_open(it, 'linked');
  if it.sector = also.sector then
    raise exception 'segnalazione % is with sector % already', it.number, quote_literal(it.sector)
      using errcode = 'SM004', constraint = 'same_sector', hint = 'Name the second sector.';
  end if;
  select q.* into e from queue_entries q where q.segnalazione = it.id;
  other := nextval(pg_get_serial_sequence('segnalazioni', 'id'));
  new_number := next_number(extract(year from now() at time zone zone)::integer);
  insert into handovers (segnalazione) values (other);
  insert into segnalazioni (id, number, kind, sector, category, priority, tags, channel, subject, sender, place, decision, ruleset,
                            received_at, linked_to)
  values (other, new_number, it.kind, also.sector, it.category, it.priority, it.tags, it.channel, it.subject, it.sender, it.place,
          it.decision || jsonb_build_object('sector', also.sector, 'linked', jsonb_build_object('number', it.number, 'from', it.sector,
            'reason', also.reason)),
          it.ruleset, it.received_at, it.id);
  insert into queue_entries (segnalazione, sector, rank, received_at, cause, messages)
  values (other, also.sector, e.rank, it.received_at, 'linked', e.messages);
  insert into relations (segnalazione, other, reason) values (it.id, other, 'linked');
  perform record(other, also.sector, 'opened', jsonb_build_object('number', new_number, 'linked_to', it.number, 'reason', also.reason));
  result := entry_of(other);
  perform record(it.id, it.sector, 'linked', jsonb_build_object('number', new_number, 'to', also.sector, 'reason', also.reason,
    'result', to_jsonb(result)), also.key);
  delete from handovers h where h.segnalazione = other and h.tx = pg_current_xact_id();
  return next result;
end
$$;

-- Below this position every transaction has ended: nothing can appear there any more.
create function settled_position() returns bigint language sql stable set search_path from current as $$
  select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + history_offset()) << 20
$$;

-- Everything that happened in the caller's sectors after a position, in order. Resume with the last position that you got; begin
-- with 0. A row that commits late is never skipped: what has a higher position waits for it.
create function changes(after bigint, max integer) returns setof change
language plpgsql stable security definer set search_path from current as $$
declare
  everything boolean := full_access();
  mine text[] := my_sectors();
begin
  if changes.max is null or changes.max not between 1 and 10000 then
    raise exception 'max is %, but must lie between 1 and 10000', coalesce(changes.max::text, 'null') using errcode = 'SM007', constraint = 'out_of_bounds',
      hint = 'Ask again from the last position that you got.';
  end if;
  if everything then
    return query
      select h.position, h.at, h.sector, s.number, h.seq, h.event, h.actor, h.payload - 'result'
        from history h left join segnalazioni s on s.id = h.segnalazione
       where h.position > coalesce(changes.after, 0) and h.position < (select settled_position())
       order by h.position limit changes.max;
    return;
  end if;
  -- A case that left is not visible here any more: its number stands in the payload.
  return query
    select h.position, h.at, h.sector, coalesce(s.number, h.payload ->> 'number'), h.seq, h.event, h.actor, h.payload - 'result'
      from (select * from history a
             where a.sector = any(mine) and a.position > coalesce(changes.after, 0) and a.position < (select settled_position())
            union all
            select * from history a
             where a.event in ('rerouted', 'fallback') and a.sector <> all(mine) and a.payload ->> 'from' = any(mine)
               and a.position > coalesce(changes.after, 0) and a.position < (select settled_position())) h
      left join segnalazioni s on s.id = h.segnalazione
     order by h.position limit changes.max;
end
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- For the daemon

-- What lies in the queue of a sector that was removed (a follow-up reopened an old case) goes to the fallback sector.
create function rescue(at_most integer) returns integer language plpgsql set search_path from current as $$
declare
  candidate bigint;
  it segnalazioni;
  fallback text := fallback_sector();
  moved integer := 0;
begin
  if fallback is null then
    return 0;
  end if;
  for candidate in
    select e.segnalazione from queue_entries e join sectors s on s.id = e.sector
     where e.state = 'ready' and s.removed and not s.confidential order by e.segnalazione limit at_most
  loop
    select s.* into it from segnalazioni s where s.id = candidate for no key update skip locked;
    continue when not found;
    perform from queue_entries e where e.segnalazione = candidate and e.state = 'ready' and e.sector = it.sector for update skip locked;
    continue when not found;
    perform move_case(it, fallback, 'rerouted');
    perform record(candidate, fallback, 'fallback', jsonb_build_object('number', it.number, 'from', it.sector, 'to', fallback,
      'reason', format('sector %s was removed', it.sector)));
    moved := moved + 1;
  end loop;
  return moved;
end
$$;

-- Every few seconds: leases that ran out go back. Returns the sectors that have something to claim now.
create function sweep() returns setof text language plpgsql set search_path from current as $$
declare
  moment timestamptz := clock_timestamp();
begin
  perform align_history();
  perform expire(null, 1000);
  perform rescue(1000);
  return query
    select s.id from sectors s
     where exists (select from queue_entries e
                    where e.sector = s.id and e.state = 'ready' and (e.not_before is null or e.not_before <= moment));
end
$$;

-- Sectors whose queue gained something after a position, and the position to ask from next time: for the notifier, which
-- sends NOTIFY in a transaction of its own.
create function woken(after bigint, out sectors text[], out last bigint)
language plpgsql stable set search_path from current as $$
begin
  select coalesce(array_agg(distinct h.sector) filter (where h.event in
           ('opened', 'appended', 'rerouted', 'released', 'left-ready', 'reopened', 'lease-expired', 'fallback')), '{}'),
         coalesce(max(h.position), woken.after)
    into woken.sectors, woken.last
    from history h where h.position > woken.after and h.position < (select settled_position());
end
$$;
