//! A town with sectors, and cases in their queues that came in as real deliveries do.

use std::{ops::Deref, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use smista_domain::{Attachment, Decision, Digest, Message, Priority, RulesetId, Sender, ThreadKeys};
use smista_store::{
    Activation, Change, Claimed, KindRow, QueueError, RejectionKind, SectorRow, Store,
    settle::{SettleOptions, Settled, Settlement, Verdict},
};
use smista_testkit::postgres::TestStore;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

/// A fresh town: `urp` (fallback), `lavori-pubblici`, `ambiente`, `rpct` (confidential).
pub(crate) struct Town {
    store: TestStore,
}

impl Deref for Town {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

pub(crate) const FIVE_MINUTES: Duration = Duration::from_mins(5);

pub(crate) fn sector(id: &str) -> SectorRow {
    SectorRow {
        id: id.to_owned(),
        name: id.to_uppercase(),
        parent: None,
        mail: None,
        deadline: None,
        confidential: id == "rpct",
        external: false,
        fallback: id == "urp",
    }
}

pub(crate) fn activation(sectors: &[&str]) -> Activation {
    Activation {
        ruleset: "a".repeat(64),
        files: json!({ "rules/strade.toml": "" }),
        sectors: sectors.iter().map(|id| sector(id)).collect(),
        kinds: vec![KindRow {
            id: "segnalazione".to_owned(),
            name: "Segnalazione".to_owned(),
            answer_within: Some("30 days".to_owned()),
        }],
        settings: vec![
            ("queue.max_attempts".to_owned(), json!(3)),
            ("outbox.mode".to_owned(), json!("hold")),
        ],
    }
}

pub(crate) const SECTORS: &[&str] = &["urp", "lavori-pubblici", "ambiente", "rpct"];

/// One letter.
pub(crate) struct Letter {
    pub(crate) sector: &'static str,
    pub(crate) priority: Priority,
    pub(crate) own: String,
    pub(crate) refs: Vec<String>,
    pub(crate) received_at: Timestamp,
}

pub(crate) fn letter(sector: &'static str, own: impl Into<String>) -> Letter {
    Letter {
        sector,
        priority: Priority::Normal,
        own: own.into(),
        refs: Vec::new(),
        received_at: Timestamp::from_second(1_790_000_000).expect("valid"),
    }
}

impl Letter {
    pub(crate) fn verdict(&self) -> Verdict {
        let message = Message {
            sender: Sender { name: Some("Anna".to_owned()), address: Some("anna@example.it".to_owned()) },
            recipients: vec!["urp@example.it".to_owned()],
            subject: format!("Oggetto {}", self.own),
            text: format!("Testo {}", self.own),
            quoted: String::new(),
            signature: String::new(),
            sent_at: None,
            received_at: self.received_at,
            folder: "INBOX".to_owned(),
            attachments: vec![Attachment {
                name: "foto.jpg".to_owned(),
                media_type: "image/jpeg".to_owned(),
                size: 3,
                sha256: Digest::of(b"abc"),
                part: vec![2],
                inline: false,
            }],
            thread: ThreadKeys {
                own: Some(format!("mid:{}", self.own)),
                refs: self.refs.iter().map(|r| format!("mid:{r}")).collect(),
                number: None,
                fingerprint: self.own.clone(),
            },
            documents: Vec::new(),
            place: None,
            certified: None,
            protocol: None,
            form: None,
            forwarded_by: None,
            notes: Vec::new(),
        };
        let decision = Decision {
            kind: "segnalazione".parse().expect("valid"),
            sector: self.sector.parse().expect("valid"),
            category: None,
            priority: self.priority,
            tags: Vec::new(),
            fallback: false,
            fallback_reason: None,
            set_aside: None,
            votes: Vec::new(),
            scores: Vec::new(),
            ruleset: RulesetId("a".repeat(64)),
        };
        Verdict::Message { message: Box::new(message), decision: Box::new(decision) }
    }
}

impl Town {
    pub(crate) async fn new() -> Self {
        Self::on(TestStore::new().await).await
    }

    pub(crate) async fn on(store: TestStore) -> Self {
        store.activate(&activation(SECTORS)).await.expect("activated");
        Self { store }
    }

    /// A second pool: another daemon.
    pub(crate) async fn another(&self) -> Store {
        self.store.another().await
    }

    pub(crate) fn server(&self) -> &smista_testkit::postgres::TestPostgres {
        self.store.server()
    }

    /// Letters come in and are settled in one batch; gives the numbers of their cases, in order.
    pub(crate) async fn receive(&self, letters: &[Letter]) -> Vec<String> {
        let (ids, settled) = self.settle_all(letters.iter().map(Letter::verdict).collect()).await;
        assert_eq!(settled.numbers.len(), letters.len());
        ids.iter()
            .map(|id| settled.numbers.iter().find(|(d, _)| d == id).expect("on a case").1.clone())
            .collect()
    }

    /// Deliveries come in and are settled in one batch; gives their ids, in order.
    pub(crate) async fn settle_all(&self, verdicts: Vec<Verdict>) -> (Vec<i64>, Settled) {
        let n = i64::try_from(verdicts.len()).expect("few");
        let ids: Vec<i64> = sqlx::query_scalar(
            "with d as (insert into deliveries (channel, scope, state, received_at, bytes, size, attempts)
                        select 'email/urp', 'INBOX', 'waiting', now(), '\\x28b52ffd2000010000', 0, 1 from generate_series(1, $1) returning id),
                  k as (insert into delivery_keys (channel, key, delivery) select 'email/urp', 'INBOX/1/' || id, id from d)
             select id from d order by id",
        )
        .bind(n)
        .fetch_all(self.pool())
        .await
        .expect("deliveries");
        let batch: Vec<Settlement> = verdicts
            .into_iter()
            .zip(&ids)
            .map(|(verdict, id)| Settlement {
                delivery: *id,
                attempts: 1,
                channel: "email/urp".to_owned(),
                reopened: false,
                watched: None,
                verdict,
            })
            .collect();
        let options = SettleOptions { year: 2026, reopen_within: SignedDuration::from_hours(24) };
        let settled = self.settle(&batch, &options).await.expect("settled");
        (ids, settled)
    }

    /// Opens `n` cases in a sector; gives their numbers, the oldest first.
    pub(crate) async fn open(&self, sector: &'static str, n: usize) -> Vec<String> {
        let letters: Vec<Letter> = (0..n)
            .map(|i| Letter {
                received_at: Timestamp::from_second(1_790_000_000 + i64::try_from(i).expect("few"))
                    .expect("valid"),
                ..letter(sector, format!("{sector}.{i}.{}", fastrand::u64(..)))
            })
            .collect();
        self.receive(&letters).await
    }

    /// Opens one case in a sector.
    pub(crate) async fn open_one(&self, sector: &'static str) -> String {
        self.open(sector, 1).await.remove(0)
    }

    /// A follow-up on a case.
    pub(crate) async fn follow_up(&self, number: &str) {
        let own: String = self
            .value(&format!(
                "select substr(m.thread ->> 'own', 5) from messages m join segnalazioni s on s.id = m.segnalazione
                  where s.number = '{number}' order by m.id limit 1"
            ))
            .await;
        let reply = Letter { refs: vec![own], ..letter("urp", format!("reply.{}", fastrand::u64(..))) };
        assert_eq!(self.receive(&[reply]).await, [number]);
    }

    /// Claims one entry that must be there.
    pub(crate) async fn claim_one(&self, sector: &str) -> Claimed {
        let mut claimed = self.queue("test").claim(sector, "w", 1, FIVE_MINUTES).await.expect("claimed");
        assert_eq!(claimed.len(), 1, "something to claim in {sector}");
        claimed.remove(0)
    }

    /// Waits until every transaction that runs now, of other tests too, has ended: only then does the feed show what is there.
    pub(crate) async fn all_ended(&self) {
        let here: i64 =
            self.value("select (pg_current_xact_id()::text::bigint + history_offset()) << 20").await;
        while self.settled_position().await.expect("a position") <= here {}
    }

    /// The feed, once everything that was committed is in it.
    pub(crate) async fn changes(&self, after: i64, max: i32) -> Vec<Change> {
        self.all_ended().await;
        self.queue("test").changes(after, max).await.expect("changes")
    }

    /// Moves every lease into the past.
    pub(crate) async fn let_leases_run_out(&self) {
        self.run("update queue_entries set leased_until = leased_until - interval '30 days' where state = 'leased'").await;
    }

    /// Runs statements as the daemon.
    pub(crate) async fn run(&self, statements: &str) {
        run(self.pool(), statements).await.expect("statements of the test");
    }

    /// One value, as the daemon.
    pub(crate) async fn value<T>(&self, query: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(self.pool()).await.expect("a value")
    }

    /// The words of a case's history.
    pub(crate) async fn events(&self, number: &str) -> Vec<String> {
        self.queue_show(number)
            .await
            .expect("read")
            .expect("there")
            .history
            .into_iter()
            .map(|h| h.event)
            .collect()
    }

    /// A connection of a role that speaks for these sectors (none: of the operator), with the town's search path.
    pub(crate) async fn connect_as(&self, sectors: &[&str]) -> PgConnection {
        let role = format!("{}_{}", self.schema(), if sectors.is_empty() { "operator" } else { sectors[0] });
        self.server().as_superuser(&format!("create role \"{role}\" login")).await;
        for sector in sectors {
            self.run(&format!("select grant_sector('{role}', '{sector}')")).await;
        }
        if sectors.is_empty() {
            self.run(&format!("select grant_sector('{role}', null)")).await;
        }
        self.connect_role(&role).await
    }

    /// A connection of a role that exists.
    pub(crate) async fn connect_role(&self, role: &str) -> PgConnection {
        let options = self.server().connect_options().username(role);
        let mut connection = PgConnection::connect_with(&options).await.expect("the role connects");
        connection
            .execute(AssertSqlSafe(format!("set search_path = {}", self.schema().quoted())))
            .await
            .expect("its path");
        connection
    }

    /// Nothing is wrong with the town.
    pub(crate) async fn assert_sound(&self) {
        let problems = self.verify().await.expect("verified");
        assert!(problems.is_empty(), "{problems:?}");
        for row in self.ledger().await.expect("ledger") {
            assert!(row.adds_up(), "{row:?}");
        }
    }
}

pub(crate) async fn run(pool: &PgPool, statements: &str) -> Result<(), sqlx::Error> {
    pool.execute(AssertSqlSafe(statements.to_owned())).await.map(|_| ())
}

/// What a role gets for a query of one column of text.
pub(crate) async fn texts(connection: &mut PgConnection, query: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(connection).await
}

/// The SQLSTATE with which a query ends.
pub(crate) async fn code(connection: &mut PgConnection, query: &str) -> String {
    match connection.execute(AssertSqlSafe(query.to_owned())).await {
        Ok(_) => "none".to_owned(),
        Err(error) => error.as_database_error().and_then(|e| e.code().map(String::from)).unwrap_or_default(),
    }
}

/// The sort and word of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, QueueError>) -> (RejectionKind, String) {
    let error = result.expect_err("a refusal");
    let rejection = error.rejection().unwrap_or_else(|| panic!("no refusal: {error:?}"));
    assert!(!error.text().it.is_empty() && error.hint().is_some(), "{error:?}");
    (rejection.kind, rejection.word.clone())
}
