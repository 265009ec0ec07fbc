-- Intake: what channels call through the Intake port. Each call is one statement and thereby one transaction and one round
-- trip: a daemon that freezes in the middle holds no lock and leaves nothing half done.

-- An accept holds the lease's row with KEY SHARE until it has committed. Renewing changes no key column and passes by;
-- taking the lease over changes the epoch, which this index makes a key column, and so waits for the commit.
create unique index leases_epoch on leases (name, epoch);

-- Raises SM001 unless (holder, epoch) has the lease at this moment by the database's clock.
create function intake_lease(p_lease text, p_holder uuid, p_epoch bigint) returns void
language plpgsql set search_path from current as $$
begin
  perform from leases
    where name = p_lease and holder = p_holder and epoch = p_epoch and ends_at > clock_timestamp() for key share;
  if not found then
    raise exception 'the lease on % is not held with epoch %', p_lease, p_epoch using errcode = 'SM001';
  end if;
end
$$;

create function intake_cursor(p_channel text, p_scope text, p_generation bigint, p_position bigint) returns void
language sql set search_path from current as $$
  insert into cursors (channel, scope, generation, position) values (p_channel, p_scope, p_generation, p_position)
  on conflict (channel, scope) do update
    set generation = excluded.generation, position = excluded.position, updated_at = now()
    where (cursors.generation, cursors.position) is distinct from (excluded.generation, excluded.position)
$$;

-- Commits a batch and moves the cursor. p_lease null: no lease is asked for (import, desk); p_cursor_scope null: the cursor
-- stays. The arrays have one element per delivery. Handing over the same again changes nothing. p_hold: the new rows are born
-- claimed for so long (the caller reads them at once); `ns` and `ids` tell which elements of the batch they are.
create function intake_accept(
  p_lease text, p_holder uuid, p_epoch bigint,
  p_channel text, p_scopes text[], p_keys text[], p_received timestamptz[], p_bytes bytea[], p_sizes bigint[],
  p_sha256s bytea[], p_facts jsonb[], p_upstreams text[], p_dues timestamptz[], p_recognise boolean[],
  p_cursor_scope text, p_cursor_generation bigint, p_cursor_position bigint, p_hold interval,
  out made bigint, out recognised bigint, out ns integer[], out ids bigint[]
) language plpgsql set search_path from current as $$
declare
  served bigint;
begin
  made := 0;
  recognised := 0;
  if p_lease is not null then
    perform intake_lease(p_lease, p_holder, p_epoch);
  end if;

  if true = any (p_recognise) then
    -- One at a time per channel: two batches must not recognise the same row.
    perform pg_advisory_xact_lock(hashtextextended(current_schema || ' recognise ' || p_channel, 0));
    with incoming as (
      select i.n, i.key, i.scope, i.sha256, i.upstream, i.due, g.prefix,
             row_number() over (partition by i.scope, i.sha256, g.prefix order by i.n) as nth
        from unnest(p_keys, p_scopes, p_sha256s, p_upstreams, p_dues, p_recognise)
               with ordinality as i (key, scope, sha256, upstream, due, recognise, n)
             -- The key up to and with its last slash: the generation.
             cross join lateral (select regexp_replace(i.key, '[^/]*$', '') as prefix) g
       where i.recognise and not exists (select from delivery_keys k where k.channel = p_channel and k.key = i.key)
    ), wanted as (
      select distinct scope, sha256, prefix from incoming
    ), free as (
      select d.id, w.scope, w.sha256, w.prefix,
             row_number() over (partition by w.scope, w.sha256, w.prefix order by d.id) as nth
        from wanted w
             join deliveries d on d.sha256 = w.sha256 and d.channel = p_channel and d.scope = w.scope
       where not exists (select from delivery_keys k where k.delivery = d.id and starts_with(k.key, w.prefix))
    ), matched as (
      select i.key, f.id, i.upstream, i.due from incoming i join free f using (scope, sha256, prefix, nth)
    ), keyed as (
      insert into delivery_keys (channel, key, delivery) select p_channel, key, id from matched order by key
      on conflict do nothing returning key, delivery
    ), again as (
      -- It is there again although upstream had been told (a mailbox restored from a backup): to be told once more.
      update deliveries d set upstream = m.upstream, upstream_due = m.due
        from matched m
       where d.id = m.id and d.upstream = 'done' and m.upstream = 'pending'
    )
    select count(*) into recognised from keyed;
  end if;

  -- The ids are drawn first, so that keys and rows go in with one statement (foreign keys are checked at its end) and
  -- whoever loses the race for a key leaves no row behind. Sorted: two that overlap wait for each other in one order.
  with fresh as materialized (
    select i.n::int as n, i.key, nextval('deliveries_id_seq') as id
      from unnest(p_keys) with ordinality as i (key, n)
     where not exists (select from delivery_keys k where k.channel = p_channel and k.key = i.key)
     order by i.n
  ), keyed as (
    insert into delivery_keys (channel, key, delivery) select p_channel, key, id from fresh order by key
    on conflict do nothing returning delivery
  ), rows as (
    insert into deliveries (id, channel, scope, state, received_at, bytes, size, sha256, facts, upstream, upstream_due,
                            attempts, claimed_until)
    overriding system value
    select f.id, p_channel, p_scopes[f.n], 'waiting', p_received[f.n], p_bytes[f.n], p_sizes[f.n], p_sha256s[f.n],
           p_facts[f.n], p_upstreams[f.n], p_dues[f.n],
           case when p_hold is null then 0 else 1 end, now() + p_hold
      from fresh f join keyed k on k.delivery = f.id
     order by f.id
    returning id
  )
  select count(*), array_agg(f.n order by f.n), array_agg(f.id order by f.n) into made, ns, ids
    from rows r join fresh f on f.id = r.id;

  -- What had only been announced, or was thought to have vanished, is served now.
  if made + recognised < cardinality(p_keys) then
    update deliveries d
       set state = 'waiting', bytes = p_bytes[i.n], size = p_sizes[i.n], sha256 = p_sha256s[i.n], facts = p_facts[i.n],
           received_at = p_received[i.n], accepted_at = now(), upstream = p_upstreams[i.n], upstream_due = p_dues[i.n],
           attempts = 0, not_before = now(), claimed_until = null, outcome = null, reason = null, settled_at = null
      from (select key, n::int as n from unnest(p_keys) with ordinality as u (key, n)) i
           join delivery_keys k on k.channel = p_channel and k.key = i.key
     where d.id = k.delivery and d.bytes is null and d.erased_at is null
       and (d.state = 'announced' or (d.state = 'settled' and d.reason = 'vanished'));
    get diagnostics served = row_count;
    made := made + served;
  end if;

  if p_cursor_scope is not null then
    perform intake_cursor(p_channel, p_cursor_scope, p_cursor_generation, p_cursor_position);
  end if;
end
$$;

-- Rows for what upstream named but did not serve; an attempt more for those that are there already. Tried again after
-- 30 s, doubling up to an hour. What has bytes is left alone.
create function intake_announce(
  p_lease text, p_holder uuid, p_epoch bigint,
  p_channel text, p_scopes text[], p_keys text[], p_reasons text[], p_vanished boolean[],
  p_cursor_scope text, p_cursor_generation bigint, p_cursor_position bigint
) returns void language plpgsql set search_path from current as $$
begin
  if p_lease is not null then
    perform intake_lease(p_lease, p_holder, p_epoch);
  end if;

  update deliveries d
     set attempts = d.attempts + 1,
         not_before = now() + least(interval '1 hour', interval '30 seconds' * (1 << least(d.attempts, 10))),
         state = case when i.vanished then 'settled' else d.state end,
         outcome = case when i.vanished then 'ignored' end,
         reason = case when i.vanished then 'vanished' else i.reason end,
         settled_at = case when i.vanished then now() end
    from unnest(p_keys, p_reasons, p_vanished) as i (key, reason, vanished)
         join delivery_keys k on k.channel = p_channel and k.key = i.key
   where d.id = k.delivery and d.state = 'announced';

  with fresh as materialized (
    select i.scope, i.key, i.reason, i.vanished, nextval('deliveries_id_seq') as id
      from unnest(p_scopes, p_keys, p_reasons, p_vanished) as i (scope, key, reason, vanished)
     where not exists (select from delivery_keys k where k.channel = p_channel and k.key = i.key)
  ), keyed as (
    insert into delivery_keys (channel, key, delivery) select p_channel, key, id from fresh order by key
    on conflict do nothing returning delivery
  )
  insert into deliveries (id, channel, scope, state, received_at, attempts, not_before, outcome, reason, settled_at)
  overriding system value
  select f.id, p_channel, f.scope, case when f.vanished then 'settled' else 'announced' end, now(), 1,
         now() + interval '30 seconds', case when f.vanished then 'ignored' end,
         case when f.vanished then 'vanished' else f.reason end, case when f.vanished then now() end
    from fresh f join keyed k on k.delivery = f.id;

  if p_cursor_scope is not null then
    perform intake_cursor(p_channel, p_cursor_scope, p_cursor_generation, p_cursor_position);
  end if;
end
$$;

revoke execute on function intake_lease(text, uuid, bigint) from public;
revoke execute on function intake_cursor(text, text, bigint, bigint) from public;
revoke execute on function intake_accept(text, uuid, bigint, text, text[], text[], timestamptz[], bytea[], bigint[],
  bytea[], jsonb[], text[], timestamptz[], boolean[], text, bigint, bigint, interval) from public;
revoke execute on function intake_announce(text, uuid, bigint, text, text[], text[], text[], boolean[], text, bigint, bigint)
  from public;
