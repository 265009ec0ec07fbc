-- How many letters of one sender came within one span of ten minutes. A row only for senders of whom several came; empty on most
-- days. A new table: no time on a database of any size, and a daemon of the release before does not look at it.
create table flood_counts (
  -- SHA-256 of channel and sender: whose letters they are is not to be read here.
  sender      bytea not null check (octet_length(sender) = 32),
  -- When the server received them: seconds since 1970 divided by 600.
  slot        bigint not null,
  letters     bigint not null,
  counted_at  timestamptz not null default now(),
  primary key (sender, slot)
);

select lock_down();
