-- Who may do what. Nobody has rights on tables; nobody but the owner may execute anything. A sector's role gets the
-- functions of the contract and the views below, and both filter by the session's role.
--
-- Row-level security is the second wall: forced, so that it holds inside SECURITY DEFINER functions as well, where a
-- forgotten WHERE would otherwise show every sector's cases. (A superuser passes it by: the owner is none.)
-- For the daemon a policy costs one call per statement: the calls in sub-selects are made once and not per row.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- ---------------------------------------------------------------------------------------------------------------------
-- Views for sectors

create view my_queue with (security_barrier) as
  select * from entry where state <> 'closed';

create view my_cases with (security_barrier) as
  select s.number, s.kind, s.sector, s.category, s.priority, s.tags, s.channel, s.subject, s.sender, s.place, s.decision, s.ruleset,
         s.received_at, s.opened_at, s.due_at, s.suspended_at, s.planned_for, s.assigned_to, s.closed_at, s.outcome,
         (select coalesce(jsonb_agg(jsonb_build_object('system', r.system, 'id', r.id, 'day', r.day) order by r.at), '[]')
            from case_references r where r.segnalazione = s.id) as external_numbers,
         (select o.number from segnalazioni o where o.id = s.linked_to) as linked_to
    from segnalazioni s
   where (select full_access()) or s.sector = any ((select my_sectors())::text[]);

-- From the sector's cases to what hangs on them, in this order (`offset 0` keeps the planner from turning it round): the other
-- way every message of the town would be asked whose it is.
create view my_messages with (security_barrier) as
  select m.id, s.number, s.sector, m.sender, m.recipients, m.subject, m.text, m.quoted, m.signature, m.notes, m.sent_at, m.received_at
    from segnalazioni s
    cross join lateral (
      select * from messages m
       where m.segnalazione = s.id or (m.segnalazione = s.linked_to and m.created_at <= s.opened_at) offset 0) m
   where (select full_access()) or s.sector = any ((select my_sectors())::text[]);

create view my_attachments with (security_barrier) as
  select a.id, m.number, m.sector, a.message, a.name, a.media_type as type, a.size, encode(a.sha256, 'hex') as sha256, a.inline,
         '/v1/attachments/' || a.id as url
    from my_messages m cross join lateral (select * from attachments a where a.message = m.id offset 0) a;

-- Of the cases that are mine now, their whole history; of those that left, that they left.
create view my_history with (security_barrier) as
  select h.position, h.at, s.number, h.seq, h.sector, h.event, h.actor, h.payload - 'result' as payload
    from segnalazioni s cross join lateral (select * from history h where h.segnalazione = s.id offset 0) h
   where (select full_access()) or s.sector = any ((select my_sectors())::text[])
  union all
  select h.position, h.at, h.payload ->> 'number', h.seq, h.sector, h.event, h.actor, h.payload - 'result'
    from history h
   where h.event in ('rerouted', 'fallback') and not (select full_access())
     and h.payload ->> 'from' = any ((select my_sectors())::text[]) and not is_mine(h.segnalazione);

-- Where a case can be rerouted to.
create view all_sectors as
  select id, name, parent, confidential, external, fallback from sectors where not removed;

-- ---------------------------------------------------------------------------------------------------------------------
-- Row-level security

-- What belongs to a case is seen by its sector, every other table by the owner alone (`lock_down` below). Written rows are not
-- checked: a case may be given to another sector, and only functions write.
create policy by_sector on segnalazioni to current_user
  using ((select full_access()) or sector = any ((select my_sectors())::text[]) or id = any ((select handed_over())::bigint[]))
  with check (true);
create policy by_sector on queue_entries to current_user
  using ((select full_access()) or sector = any ((select my_sectors())::text[]) or segnalazione = any ((select handed_over())::bigint[]))
  with check (true);
create policy by_case on messages to current_user using ((select full_access()) or is_mine(segnalazione)) with check (true);
create policy by_case on case_references to current_user using ((select full_access()) or is_mine(segnalazione)) with check (true);
create policy by_case on outbox to current_user using ((select full_access()) or is_mine(segnalazione)) with check (true);
create policy by_case on relations to current_user
  using ((select full_access()) or is_mine(segnalazione) or is_mine(other)) with check (true);
create policy by_message on attachments to current_user using ((select full_access()) or message_is_mine(message)) with check (true);
create policy by_case on history to current_user
  using ((select full_access()) or sector = any ((select my_sectors())::text[]) or is_mine(segnalazione)
         or (event in ('rerouted', 'fallback') and payload ->> 'from' = any ((select my_sectors())::text[])))
  with check (true);

-- ---------------------------------------------------------------------------------------------------------------------
-- Roles for sectors

-- Lets an existing role (a login, or a group of logins) speak for a sector; without a sector for all that are not confidential.
-- A migration that adds a function or view for sectors replaces this function.
create function grant_contract(role text) returns void language plpgsql set search_path from current as $$
declare
  f regprocedure;
  v text;
begin
  execute format('grant usage on schema %I to %I', current_schema(), role);
  for f in
    select p.oid::regprocedure from pg_catalog.pg_proc p
     where p.pronamespace = current_schema()::regnamespace
       and p.proname in ('claim', 'take', 'release', 'extend', 'reroute', 'answer', 'close', 'note', 'assign', 'plan', 'ask', 'reopen',
                         'reference', 'also', 'changes',
                         -- what views and policies call, in the caller's name
                         'full_access', 'my_sectors', 'handed_over', 'is_mine', 'message_is_mine')
  loop
    execute format('grant execute on function %s to %I', f, role);
  end loop;
  foreach v in array array['entry', 'my_queue', 'my_cases', 'my_messages', 'my_attachments', 'my_history', 'all_sectors'] loop
    execute format('grant select on %I to %I', v, role);
  end loop;
end
$$;

create function grant_sector(role text, sector text) returns void language plpgsql set search_path from current as $$
begin
  if not exists (select from pg_catalog.pg_roles g where g.rolname = grant_sector.role) then
    raise exception 'there is no role %', quote_literal(grant_sector.role) using errcode = 'SM003', constraint = 'unknown_role',
      hint = 'create_sector_role(sector) makes one; CREATE ROLE makes one with another name.';
  end if;
  if grant_sector.sector is not null then
    perform check_sector(grant_sector.sector, false);
  end if;
  insert into sector_roles (role, sector) values (grant_sector.role, grant_sector.sector) on conflict do nothing;
  perform grant_contract(grant_sector.role);
end
$$;

create function revoke_sector(role text, sector text) returns void language plpgsql set search_path from current as $$
begin
  delete from sector_roles r where r.role = revoke_sector.role and r.sector is not distinct from revoke_sector.sector;
end
$$;

-- Makes the role <schema>_<sector> (roles belong to the whole cluster, hence the schema in its name), which may log in once it has a
-- password or another way to prove itself. Again: the same role. Without a sector: <schema>_operator.
create function create_sector_role(sector text) returns text language plpgsql set search_path from current as $$
declare
  name text := current_schema() || '_' || coalesce(create_sector_role.sector, 'operator');
begin
  if create_sector_role.sector is not null then
    perform check_sector(create_sector_role.sector, false);
  end if;
  if length(name) > 63 then
    raise exception 'role name % is longer than 63 characters', quote_literal(name) using errcode = 'SM007', constraint = 'role_name_too_long',
      hint = 'Create a role with a shorter name and call grant_sector(role, sector).';
  end if;
  if exists (select from pg_catalog.pg_roles g where g.rolname = name) then
    -- It may be another database's of the same cluster: whoever wants to share it says so with grant_sector.
    if not exists (select from sector_roles r where r.role = name and r.sector is not distinct from create_sector_role.sector) then
      raise exception 'role % exists already and was not made for this town', quote_literal(name) using errcode = 'SM004', constraint = 'role_exists',
        hint = format('If it is meant, call grant_sector(%L, %L).', name, create_sector_role.sector);
    end if;
    perform grant_contract(name);
    return name;
  end if;
  if not (select g.rolcreaterole or g.rolsuper from pg_catalog.pg_roles g where g.rolname = current_user) then
    raise exception 'role % may not create roles', quote_literal(current_user) using errcode = 'SM002', constraint = 'no_createrole',
      hint = format('As a superuser: ALTER ROLE %I CREATEROLE; or CREATE ROLE %I LOGIN; and then call grant_sector(%L, %L).',
                    current_user, name, name, create_sector_role.sector);
  end if;
  execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication', name);
  -- A session that leaves a transaction open on a case holds up whatever the citizen writes next.
  execute format('alter role %I set idle_in_transaction_session_timeout = %L', name, '30s');
  perform grant_sector(name, create_sector_role.sector);
  return name;
end
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Every migration ends with this. EXECUTE is granted to PUBLIC by default, and row-level security is off by default: a new
-- function is nobody's but the owner's until grant_contract names it, and a new table without a policy is the owner's alone.
create function lock_down() returns void language plpgsql set search_path from current as $$
declare
  t text;
  f regprocedure;
  r text;
begin
  for t in select c.relname from pg_catalog.pg_class c
            where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
              and not (c.relrowsecurity and c.relforcerowsecurity)
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
  end loop;
  for t in select c.relname from pg_catalog.pg_class c
            where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
              and not exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)
  loop
    execute format('create policy owner_only on %I to current_user using (true) with check (true)', t);
  end loop;
  for f in select p.oid::regprocedure from pg_catalog.pg_proc p where p.pronamespace = current_schema()::regnamespace loop
    execute format('revoke execute on function %s from public', f);
  end loop;
  -- Functions that were made with a path which does not end in pg_temp.
  for f in select p.oid::regprocedure from pg_catalog.pg_proc p
            where p.pronamespace = current_schema()::regnamespace
              and exists (select from unnest(p.proconfig) c where c like 'search_path=%' and c not like '%pg_temp')
  loop
    execute format('alter function %s set search_path = %I, pg_temp', f, current_schema());
  end loop;
  for r in select distinct s.role from sector_roles s join pg_catalog.pg_roles g on g.rolname = s.role loop
    perform grant_contract(r);
  end loop;
end
$$;
select lock_down();
