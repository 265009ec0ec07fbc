//! Sectors see and touch their own cases and nothing else, whatever SQL they write.

use std::sync::Arc;

use smista_testkit::postgres::{TestPostgres, TestStore};

use crate::town::{Town, code, texts};

/// The functions that a sector's role may execute.
const CONTRACT: &[&str] = &[
    "also",
    "answer",
    "ask",
    "assign",
    "changes",
    "claim",
    "close",
    "extend",
    "full_access",
    "handed_over",
    "is_mine",
    "message_is_mine",
    "my_sectors",
    "note",
    "plan",
    "reference",
    "release",
    "reopen",
    "reroute",
    "take",
];

#[tokio::test]
async fn nothing_is_left_open() {
    let town = Town::new().await;
    let names = |query: &'static str| {
        let pool = town.pool().clone();
        async move { sqlx::query_scalar::<_, String>(query).fetch_all(&pool).await.expect("names") }
    };
    let bare = names(
        "select relname::text from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
            and relname <> '_sqlx_migrations' and not (relrowsecurity and relforcerowsecurity)",
    )
    .await;
    assert!(bare.is_empty(), "tables without forced row-level security: {bare:?}");
    let public = names(
        "select p.proname::text from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
          where p.pronamespace = current_schema()::regnamespace and a.grantee = 0",
    )
    .await;
    assert!(public.is_empty(), "functions that everybody may execute: {public:?}");
    let path = names(
        "select p.proname::text from pg_proc p where p.pronamespace = current_schema()::regnamespace
            and not exists (select from unnest(p.proconfig) c where c like 'search_path=%pg_temp')
            and (p.prosecdef or p.prolang <> (select oid from pg_language where lanname = 'sql'))",
    )
    .await;
    assert!(path.is_empty(), "functions whose path does not end in pg_temp: {path:?}");
    let owner_is_superuser: bool =
        town.value("select rolsuper from pg_roles where rolname = current_user").await;
    assert!(!owner_is_superuser, "these tests prove nothing with a superuser");

    let mut green = town.connect_as(&["ambiente"]).await;
    let may = texts(
        &mut green,
        "select distinct p.proname::text from pg_proc p where p.pronamespace = current_schema()::regnamespace
            and has_function_privilege(p.oid, 'execute') order by 1",
    )
    .await
    .expect("names");
    assert_eq!(may, CONTRACT);
    let tables = names(
        "select relname::text from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')",
    )
    .await;
    assert!(tables.len() > 15);
    for table in tables {
        for statement in [
            format!("select * from {table}"),
            format!("delete from {table}"),
            format!("truncate {table}"),
            format!("copy {table} to stdout"),
            format!("create table x (like {table})"),
        ] {
            assert_eq!(code(&mut green, &statement).await, "42501", "{statement}");
        }
    }
}

#[tokio::test]
async fn a_sector_sees_its_own_cases_in_every_view_and_in_the_feed() {
    let town = Town::new().await;
    let mine = town.open_one("ambiente").await;
    town.open("lavori-pubblici", 2).await;
    town.open_one("rpct").await;
    let mut green = town.connect_as(&["ambiente"]).await;
    town.all_ended().await;
    for view in
        ["my_queue", "entry", "my_cases", "my_messages", "my_attachments", "my_history", "changes(0, 100)"]
    {
        let numbers = texts(&mut green, &format!("select number from {view}")).await.expect(view);
        assert_eq!(numbers, [mine.as_str()], "{view}");
    }
    assert_eq!(
        texts(&mut green, "select number from claim('ambiente', 'w', 100)").await.expect("claimed"),
        [mine.as_str()]
    );
    let sectors = texts(&mut green, "select id from all_sectors order by id").await.expect("sectors");
    assert_eq!(sectors, ["ambiente", "lavori-pubblici", "rpct", "urp"]);
}

#[tokio::test]
async fn a_sector_cannot_touch_anothers_cases() {
    let town = Town::new().await;
    let theirs = town.open_one("lavori-pubblici").await;
    let lease = town.claim_one("lavori-pubblici").await.lease;
    let mut green = town.connect_as(&["ambiente"]).await;
    let picture =
        "select jsonb_agg(to_jsonb(e))::text || (select count(*) from history) from queue_entries e";
    let before: String = town.value(picture).await;
    for (call, expected) in [
        ("claim('lavori-pubblici', 'w')".to_owned(), "SM002"),
        ("claim('rpct', 'w')".to_owned(), "SM002"),
        (format!("take('{lease}')"), "SM001"),
        (format!("release('{lease}', 'x')"), "SM001"),
        (format!("extend('{lease}', '1 min')"), "SM001"),
        (format!("reroute('{theirs}', 'ambiente', 'mia')"), "SM003"),
        (format!("also('{theirs}', 'ambiente', 'mia')"), "SM003"),
        (format!("answer('{theirs}', 'x')"), "SM003"),
        (format!("close('{theirs}', 'x')"), "SM003"),
        (format!("reopen('{theirs}', 'x')"), "SM003"),
        (format!("note('{theirs}', 'x')"), "SM003"),
        (format!("assign('{theirs}', 'x')"), "SM003"),
        (format!("plan('{theirs}', '2026-12-01')"), "SM003"),
        (format!("ask('{theirs}', 'x')"), "SM003"),
        (format!("reference('{theirs}', 'x', 'y', null)"), "SM003"),
        ("create_sector_role('rpct')".to_owned(), "42501"),
        ("grant_sector('x', 'rpct')".to_owned(), "42501"),
        (format!("lock_case('{theirs}')"), "42501"),
        ("sweep()".to_owned(), "42501"),
        ("next_number(2026)".to_owned(), "42501"),
    ] {
        assert_eq!(code(&mut green, &format!("select * from {call}")).await, expected, "{call}");
    }
    assert_eq!(town.value::<String>(picture).await, before);
    // The same words whether a number is another sector's or does not exist at all.
    let message = |e: sqlx::Error| e.as_database_error().map(|d| d.message().to_owned()).unwrap_or_default();
    let other =
        texts(&mut green, &format!("select number from note('{theirs}', 'x')")).await.map_err(message);
    let none = texts(&mut green, "select number from note('2026-999999', 'x')").await.map_err(message);
    assert_eq!(other.map_err(|e| e.replace(&theirs, "N")), none.map_err(|e| e.replace("2026-999999", "N")));
}

#[tokio::test]
async fn functions_of_the_callers_own_do_not_see_through_the_views() {
    let town = Town::new().await;
    town.open_one("ambiente").await;
    town.open("lavori-pubblici", 3).await;
    let mut green = town.connect_as(&["ambiente"]).await;
    code(&mut green, "create temp table leaked (what text)").await;
    let made = code(
        &mut green,
        "create function pg_temp.leak(what text) returns boolean language plpgsql cost 0.0000001 as
           $$ begin insert into pg_temp.leaked values (what); return true; end $$",
    )
    .await;
    assert_eq!(made, "none");
    for query in [
        "select subject from my_cases where pg_temp.leak(subject)",
        "select subject from my_messages where pg_temp.leak(subject)",
        "select subject from entry where pg_temp.leak(subject) and priority = 'normal'",
        "select number from my_history where pg_temp.leak(payload::text)",
        "select name from my_attachments where pg_temp.leak(number)",
        "select subject from my_cases c where exists (select from my_messages m where pg_temp.leak(m.text) or m.number = c.number)",
        "select number from changes(0, 100) where pg_temp.leak(number)",
    ] {
        texts(&mut green, query).await.expect(query);
    }
    let leaked = texts(&mut green, "select what from pg_temp.leaked").await.expect("read");
    assert!(!leaked.is_empty(), "the trap works");
    assert!(leaked.iter().all(|what| !what.contains("lavori-pubblici")), "{leaked:?}");
    let numbers = texts(&mut green, "select number from my_cases").await.expect("read");
    assert!(leaked.iter().all(|what| !what.starts_with("2026-") || numbers.contains(what)), "{leaked:?}");
}

#[tokio::test]
async fn a_callers_own_tables_and_paths_stand_in_for_nothing() {
    let town = Town::new().await;
    let theirs = town.open_one("rpct").await;
    let mut green = town.connect_as(&["ambiente"]).await;
    for statement in [
        "create temp table sector_roles (role text, sector text, at timestamptz)",
        "insert into pg_temp.sector_roles select session_user, s from unnest(array['rpct', 'urp', 'ambiente']) s",
        "create temp table sectors (id text, name text, parent text, mail text, deadline text, confidential boolean,
           external boolean, fallback boolean, removed boolean)",
        "insert into pg_temp.sectors values ('rpct', '', null, null, null, false, false, false, false)",
        "create temp table handovers (segnalazione bigint, tx xid8)",
        "insert into pg_temp.handovers select n, pg_current_xact_id() from generate_series(1, 100) n",
        "create temp table history (like pg_class)",
        "create temp view queue_entries as select 1 as segnalazione",
        "create function pg_temp.full_access() returns boolean language sql return true",
        "create function pg_temp.may(text) returns boolean language sql return true",
        "create function pg_temp.pg_has_role(name, name, text) returns boolean language sql return true",
    ] {
        assert_eq!(code(&mut green, statement).await, "none", "{statement}");
    }
    let schema = town.schema().to_string();
    for path in [format!("pg_temp, {schema}"), format!("pg_temp, {schema}, pg_catalog"), schema.clone()] {
        code(&mut green, &format!("set search_path = {path}")).await;
        let call = |what: &str| format!("select * from {schema}.{what}");
        assert_eq!(code(&mut green, &call("claim('rpct', 'w')")).await, "SM002", "{path}");
        assert_eq!(code(&mut green, &call(&format!("note('{theirs}', 'x')"))).await, "SM003", "{path}");
        for view in ["my_cases", "my_messages", "my_history", "changes(0, 100)"] {
            let seen = texts(&mut green, &format!("select number from {schema}.{view}")).await.expect(view);
            assert!(seen.is_empty(), "{view} with {path}");
        }
    }
}

#[tokio::test]
async fn a_role_cannot_become_somebody_else() {
    let town = Town::new().await;
    let number = town.open_one("ambiente").await;
    let mut green = town.connect_as(&["ambiente"]).await;
    assert_eq!(code(&mut green, "set role smista").await, "42501");
    assert_eq!(code(&mut green, "set session authorization smista").await, "42501");
    // Its name stays in the history, whatever it says of itself.
    code(&mut green, "set smista.actor = 'sindaco'").await;
    texts(&mut green, &format!("select number from note('{number}', 'x')")).await.expect("noted");
    let actor: String = town.value("select actor from history where event = 'noted'").await;
    assert_eq!(actor, format!("{}_ambiente/sindaco", town.schema()));
}

#[tokio::test]
async fn behind_a_forgotten_filter_there_is_a_second_wall() {
    let town = Town::new().await;
    let mine = town.open_one("ambiente").await;
    town.open("lavori-pubblici", 2).await;
    town.queue("test").answer(&mine, "ecco", None).await.expect("answered");
    town.queue("test").reference(&mine, "p", "1", None).await.expect("referenced");
    let role = format!("{}_ambiente", town.schema());
    let mut green = town.connect_as(&["ambiente"]).await;
    let mut stranger = {
        town.server().as_superuser(&format!("create role \"{}_nobody\" login", town.schema())).await;
        town.run(&format!("grant usage on schema {0} to \"{0}_nobody\"", town.schema())).await;
        town.connect_role(&format!("{}_nobody", town.schema())).await
    };
    for (table, case) in [
        ("segnalazioni", "id"),
        ("queue_entries", "segnalazione"),
        ("messages", "segnalazione"),
        ("history", "segnalazione"),
        ("outbox", "segnalazione"),
        ("case_references", "segnalazione"),
    ] {
        // Somebody writes a function without a filter, and somebody grants a table.
        town.run(&format!(
            "create function forgotten_{table}() returns setof text language sql security definer set search_path from current as
               'select distinct {case}::text from {table}';
             grant execute on function forgotten_{table}() to public; grant select on {table} to public"
        ))
        .await;
        let expected: String =
            town.value(&format!("select id::text from segnalazioni where number = '{mine}'")).await;
        let seen = texts(&mut green, &format!("select * from forgotten_{table}()")).await.expect(table);
        assert_eq!(seen, [expected], "{table} through a function, as {role}");
        assert!(
            texts(&mut green, &format!("select {case}::text from {table}")).await.expect(table).is_empty(),
            "{table}"
        );
    }
    town.run("grant select on deliveries, thread_keys, settings to public").await;
    for table in ["deliveries", "thread_keys", "settings"] {
        assert!(
            texts(&mut green, &format!("select 'x' from {table}")).await.expect(table).is_empty(),
            "{table}"
        );
    }
    assert_eq!(code(&mut stranger, "select * from claim('ambiente', 'w')").await, "42501");
}

#[tokio::test]
async fn what_is_confidential_is_nobody_elses() {
    let town = Town::new().await;
    let open = town.open_one("urp").await;
    let secret = town.open_one("rpct").await;
    let mut operator = town.connect_as(&[]).await;
    let mut rpct = town.connect_as(&["rpct"]).await;
    let mut urp = town.connect_as(&["urp"]).await;
    town.all_ended().await;
    for view in ["my_queue", "my_cases", "my_messages", "my_history", "changes(0, 100)"] {
        let query = format!("select distinct number from {view}");
        assert_eq!(texts(&mut operator, &query).await.expect(view), [open.as_str()], "{view}");
        assert_eq!(texts(&mut rpct, &query).await.expect(view), [secret.as_str()], "{view}");
    }
    assert_eq!(code(&mut operator, "select * from claim('rpct', 'w')").await, "SM002");
    assert_eq!(code(&mut operator, &format!("select * from reroute('{secret}', 'urp', 'x')")).await, "SM003");

    // Handed over, it is gone for who had it; a retry still gets its answer, and the feed says that it went.
    let call = format!("select sector from reroute('{open}', 'rpct', 'riservata', 'k')");
    assert_eq!(texts(&mut urp, &call).await.expect("rerouted"), ["rpct"]);
    assert_eq!(texts(&mut urp, &call).await.expect("the same"), ["rpct"]);
    assert_eq!(code(&mut urp, &format!("select * from note('{open}', 'x')")).await, "SM003");
    for view in ["my_queue", "my_cases", "my_messages", "my_attachments"] {
        assert!(
            texts(&mut urp, &format!("select number from {view}")).await.expect(view).is_empty(),
            "{view}"
        );
    }
    town.all_ended().await;
    for feed in ["changes(0, 100)", "my_history"] {
        let events =
            texts(&mut urp, &format!("select event from {feed} where number = '{open}' order by position"))
                .await
                .expect(feed);
        assert_eq!(events.last().map(String::as_str), Some("rerouted"), "{feed}: {events:?}");
    }
    texts(&mut rpct, &format!("select number from note('{open}', 'nome del segnalante')"))
        .await
        .expect("noted");
    town.all_ended().await;
    for feed in ["changes(0, 100)", "my_history"] {
        let payloads =
            texts(&mut urp, &format!("select coalesce(payload::text, '') from {feed}")).await.expect(feed);
        assert!(payloads.iter().all(|p| !p.contains("segnalante")), "{feed}");
    }
    let events =
        texts(&mut rpct, &format!("select event from my_history where number = '{open}' order by seq"))
            .await
            .expect("read");
    assert_eq!(events, ["opened", "rerouted", "noted"], "who has it has its whole file");
    town.assert_sound().await;
}

#[tokio::test]
async fn a_sector_works_its_queue_from_end_to_end() {
    let town = Town::new().await;
    let number = town.open_one("ambiente").await;
    let other = town.open_one("ambiente").await;
    let mut green = town.connect_as(&["ambiente"]).await;
    let lease =
        texts(&mut green, "select lease::text from claim('ambiente', 'w')").await.expect("claimed").remove(0);
    assert_eq!(
        texts(&mut green, &format!("select state from extend('{lease}', '1 min')")).await.expect("extended"),
        ["leased"]
    );
    assert_eq!(
        texts(&mut green, &format!("select state from take('{lease}')")).await.expect("taken"),
        ["taken"]
    );
    for (call, state) in [
        (format!("assign('{number}', 'Mario')"), "taken"),
        (format!("plan('{number}', '2026-12-01')"), "taken"),
        (format!("reference('{number}', 'protocollo', '1', '2026-11-23')"), "taken"),
        (format!("ask('{number}', 'Dove?')"), "taken"),
        (format!("note('{number}', 'x')"), "taken"),
        (format!("answer('{number}', 'ecco')"), "answered"),
        (format!("close('{number}', 'fatto')"), "closed"),
        (format!("reopen('{number}', 'ancora')"), "ready"),
        (format!("reroute('{number}', 'lavori-pubblici', 'di là')"), "ready"),
    ] {
        assert_eq!(
            texts(&mut green, &format!("select state from {call}")).await.expect(&call),
            [state],
            "{call}"
        );
    }
    // Its own claim finds a lease that ran out once too often, and gives the case away.
    for _ in 0..3 {
        let claimed = texts(&mut green, "select number from claim('ambiente', 'w')").await.expect("claimed");
        assert_eq!(claimed, [other.as_str()]);
        town.let_leases_run_out().await;
    }
    assert!(
        texts(&mut green, "select number from claim('ambiente', 'w')").await.expect("claimed").is_empty()
    );
    assert_eq!(town.claim_one("urp").await.number, other);
    assert_eq!(town.value::<i64>("select count(*) from handovers").await, 0);
    town.assert_sound().await;
}

#[tokio::test]
async fn one_role_can_have_two_sectors_and_a_group_has_members() {
    let town = Town::new().await;
    town.open_one("ambiente").await;
    town.open_one("urp").await;
    town.open_one("rpct").await;
    let count = "select count(*)::text from my_queue";
    let mut both = town.connect_as(&["ambiente", "urp"]).await;
    assert_eq!(texts(&mut both, count).await.expect("read"), ["2"]);
    let schema = town.schema().to_string();
    town.server()
        .as_superuser(&format!("create role \"{schema}_mario\" login in role \"{schema}_ambiente\""))
        .await;
    let mut mario = town.connect_role(&format!("{schema}_mario")).await;
    assert_eq!(texts(&mut mario, count).await.expect("read"), ["2"]);
    town.run(&format!("select revoke_sector('{schema}_ambiente', 'urp')")).await;
    assert_eq!(texts(&mut mario, count).await.expect("read"), ["1"], "at once, in a session that is open");
    assert_eq!(code(&mut mario, "select * from claim('urp', 'w')").await, "SM002");
}

#[tokio::test]
async fn making_a_role_needs_the_right_to() {
    let server =
        tokio::task::spawn_blocking(|| Arc::new(TestPostgres::start())).await.expect("a server of its own");
    let town = Town::on(TestStore::on(server).await).await;
    let error =
        crate::town::run(town.pool(), "select create_sector_role('ambiente')").await.expect_err("not yet");
    let database = error.into_database_error().expect("from the database");
    let error = database.downcast::<sqlx::postgres::PgDatabaseError>();
    let schema = town.schema().to_string();
    assert_eq!((error.code(), error.constraint()), ("SM002", Some("no_createrole")));
    assert!(
        error.hint().is_some_and(|h| h.contains("CREATEROLE") && h.contains(&format!("{schema}_ambiente")))
    );

    town.server().as_superuser("alter role smista createrole").await;
    let role: String = town.value("select create_sector_role('ambiente')").await;
    assert_eq!(role, format!("{schema}_ambiente"));
    assert_eq!(town.value::<String>("select create_sector_role('ambiente')").await, role, "again: the same");
    let number = town.open_one("ambiente").await;
    let mut green = town.connect_role(&role).await;
    assert_eq!(texts(&mut green, "select number from my_queue").await.expect("read"), [number]);
    let idle = "show idle_in_transaction_session_timeout";
    assert_eq!(texts(&mut green, idle).await.expect("shown"), ["30s"], "an open transaction holds cases up");

    // A role of that name that this town did not make is not simply let in.
    town.server().as_superuser(&format!("create role \"{schema}_urp\" login")).await;
    let error = crate::town::run(town.pool(), "select create_sector_role('urp')").await.expect_err("exists");
    assert_eq!(
        error.as_database_error().and_then(sqlx::error::DatabaseError::constraint),
        Some("role_exists")
    );
    let operator: String = town.value("select create_sector_role(null)").await;
    assert_eq!(operator, format!("{schema}_operator"));
    let error =
        crate::town::run(town.pool(), "select create_sector_role('nessuno')").await.expect_err("unknown");
    assert_eq!(
        error.as_database_error().and_then(sqlx::error::DatabaseError::constraint),
        Some("unknown_sector")
    );
}
