-- What documents in the attachment said (docs/adr/0011): a decision is made again from the stored message, and they are part of it.
-- Null for the many messages that speak for themselves. Expand only: a daemon of the release before writes no such column.
-- No rewrite and no scan: a moment under lock, however many rows there are.
alter table messages add column documents jsonb;

do $$
begin
  alter table messages alter column documents set compression lz4;
exception when feature_not_supported then
  null;
end
$$;
