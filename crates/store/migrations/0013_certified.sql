-- What is known of a message beside its words, and what receipts say of answers. Expand only: a daemon of the release before
-- writes no such column and no such row. New columns without a default: no rewrite and no scan.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- What a provider certifies (PEC), the protocol facts of another administration, the web form it came through, the clerk who
-- sent it on. Null for the many messages that have none.
alter table messages
  add column certified    jsonb,
  add column protocol     jsonb,
  add column form         jsonb,
  add column forwarded_by jsonb;

-- The thread key under which an answer left (`mid:...`): what receipts, bounces and the citizen's reply cite.
alter table outbox
  add column message_key text,
  add column left_at     timestamptz;
create unique index outbox_message_key on outbox (message_key) where message_key is not null;
create index outbox_left on outbox (left_at) where left_at is not null;

-- What receipts of certified mail and bounces say. One that speaks of no answer of ours yet waits: the answer may be told to us
-- later, and somebody may have answered from another program.
create table receipts (
  delivery   bigint primary key,
  -- The thread key of the letter it speaks of; null when it does not say.
  about      text,
  -- The provider's word (`accettazione`, `avvenuta-consegna`, ...: open), or `bounce`.
  kind       text not null,
  -- The letter did not and will not reach its recipient.
  failed     boolean not null,
  -- The instant with legal effect; of a bounce and of a receipt without data null.
  legal_at   timestamptz,
  -- All that it says.
  data       jsonb not null,
  outbox     bigint references outbox,
  noted_at   timestamptz not null default now()
);
create index receipts_waiting on receipts (about) where outbox is null and about is not null;
create index receipts_noted on receipts (noted_at) where outbox is null and about is not null;
create index receipts_outbox on receipts (outbox) where outbox is not null;

-- Says under which identity an answer leaves: before it leaves, in a transaction of its own, so that no receipt and no reply
-- can speak of what nobody knows. Again with the same key: nothing. `owner` of the key is the answer, negative: it is no delivery.
create function leaves_as(answer bigint, message_key text) returns void language plpgsql set search_path from current as $$
declare
  case_id bigint;
begin
  insert into thread_keys (key, segnalazione, owner)
  select leaves_as.message_key, o.segnalazione, -o.id from outbox o where o.id = leaves_as.answer
  on conflict (key) do update set owner = coalesce(thread_keys.owner, excluded.owner)
  returning segnalazione into case_id;
  if case_id is null then
    raise exception 'there is no answer % in the outbox', leaves_as.answer using errcode = 'SM007', constraint = 'out_of_bounds';
  end if;
  update outbox o set message_key = leaves_as.message_key, left_at = clock_timestamp()
   where o.id = leaves_as.answer and o.message_key is distinct from leaves_as.message_key;
end
$$;

-- Gives receipts to the answers that they speak of: an event on the case, and a case whose answer did not arrive is ready again.
-- Receipts and answers come in any order and at the same moment, so both sides are looked through, as far back as `since`; null: all.
create function link_receipts(since interval) returns integer language plpgsql set search_path from current as $$
declare
  r record;
  e queue_entries;
  again boolean;
  linked integer := 0;
begin
  for r in
    select p.delivery, o.id as answer, o.segnalazione from receipts p join outbox o on o.message_key = p.about
     where p.outbox is null and (since is null or p.noted_at > now() - since)
    union
    select p.delivery, o.id, o.segnalazione from outbox o join receipts p on p.about = o.message_key
     where p.outbox is null and (since is null or o.left_at > now() - since)
     order by 3, 1
  loop
    perform from segnalazioni s where s.id = r.segnalazione for no key update;
    update receipts p set outbox = r.answer where p.delivery = r.delivery and p.outbox is null;
    continue when not found;
    select q.* into e from queue_entries q where q.segnalazione = r.segnalazione for update;
    again := e.state in ('taken', 'answered', 'closed') and (select p.failed from receipts p where p.delivery = r.delivery);
    if again then
      update queue_entries q
         set state = 'ready', cause = 'undelivered', attempts = 0, not_before = null, worker = null, updated_at = clock_timestamp()
       where q.segnalazione = r.segnalazione;
      update segnalazioni s set closed_at = null, outcome = null, suspended_at = null where s.id = r.segnalazione;
    end if;
    insert into history (segnalazione, sector, event, actor, payload)
    select r.segnalazione, e.sector, case when p.failed then 'undelivered' else 'receipt' end, 'smista',
           p.data || jsonb_build_object('kind', p.kind, 'delivery', p.delivery, 'answer', r.answer, 'ready', again, 'was', e.state)
      from receipts p where p.delivery = r.delivery;
    linked := linked + 1;
  end loop;
  return linked;
end
$$;

-- As before, and receipts find their answers.
create or replace function sweep() returns setof text language plpgsql set search_path from current as $$
declare
  moment timestamptz := clock_timestamp();
begin
  perform align_history();
  perform expire(null, 1000);
  perform rescue(1000);
  perform link_receipts(interval '10 minutes');
  return query
    select s.id from sectors s
     where exists (select from queue_entries e
                    where e.sector = s.id and e.state = 'ready' and (e.not_before is null or e.not_before <= moment));
end
$$;

-- As before, with 'undelivered'.
create or replace function woken(after bigint, out sectors text[], out last bigint)
language plpgsql stable set search_path from current as $$
begin
  select coalesce(array_agg(distinct h.sector) filter (where h.event in
           ('opened', 'appended', 'rerouted', 'released', 'left-ready', 'reopened', 'lease-expired', 'fallback', 'undelivered')), '{}'),
         coalesce(max(h.position), woken.after)
    into woken.sectors, woken.last
    from history h where h.position > woken.after and h.position < (select settled_position());
end
$$;

-- As before, with the new columns of messages.
create or replace view my_messages with (security_barrier) as
  select m.id, s.number, s.sector, m.sender, m.recipients, m.subject, m.text, m.quoted, m.signature, m.notes, m.sent_at, m.received_at,
         m.certified, m.protocol, m.form, m.forwarded_by
    from segnalazioni s
    cross join lateral (
      select * from messages m
       where m.segnalazione = s.id or (m.segnalazione = s.linked_to and m.created_at <= s.opened_at) offset 0) m
   where (select full_access()) or s.sector = any ((select my_sectors())::text[]);

-- As before: up to `max` ready entries of a sector to a worker, the urgent first, then the oldest. Each message says what is known
-- of it beside its words.
create or replace function claim(sector text, worker text, max integer default 1, lease_for interval default '5 minutes')
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
                 'received_at', m.received_at, 'sent_at', m.sent_at, 'notes', m.notes, 'certified', m.certified,
                 'protocol', m.protocol, 'form', m.form, 'forwarded_by', m.forwarded_by) order by m.received_at, m.id) as all_
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

select lock_down();
