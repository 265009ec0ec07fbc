use std::path::PathBuf;

use bytes::Bytes;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use smista_settings::{Diagnostics, Environment, Sources, parse};
use smista_testkit::{
    memory_intake::MemoryIntake,
    webhooks::{APP_SECRET, sign},
};

use super::*;

/// `[meta]` with one page, and its secrets in variables.
fn settings(secret: &str) -> Arc<MetaSettings> {
    let text = "[meta]\napp_secret_env = \"SECRET\"\nverify_token_env = \"TOKEN\"\n[[meta.page]]\nname = \"comune\"\nid = \"777\"\n";
    let environment: Environment = [("SECRET", secret), ("TOKEN", "parola")].into_iter().collect();
    let mut sources = Sources::new(PathBuf::from("/nonexistent"), environment);
    let diagnostics = Diagnostics::new();
    let file = sources.add("smista.toml".into(), text.as_bytes().to_vec()).expect("text");
    let mut root = parse(&mut sources, file, &diagnostics).expect("TOML");
    let settings = root.table("meta").and_then(MetaSettings::read);
    Arc::new(settings.expect("good"))
}

fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("an instant")
}

struct Hook {
    service: TowerToHyperService<Router>,
    traffic: Arc<Traffic>,
}

fn hook(secret: &str, intake: Option<MemoryIntake>) -> Hook {
    let traffic = Arc::new(Traffic::default());
    let hook =
        MetaHook::new(settings(secret), move |_: &ChannelName| intake.clone(), noon, Arc::clone(&traffic));
    Hook { service: TowerToHyperService::new(router(hook)), traffic }
}

fn page() -> MemoryIntake {
    MemoryIntake::new(&"meta/comune".parse().expect("a name"))
}

impl Hook {
    async fn post(&self, body: &'static str) -> StatusCode {
        let request = axum::http::Request::post("/webhooks/meta")
            .header(signature::HEADER, sign(body.as_bytes(), APP_SECRET))
            .body(Body::from(Bytes::from_static(body.as_bytes())));
        self.service.call(request.expect("a request")).await.expect("an answer").status()
    }
}

const TWO: &str = r#"{"object":"page","entry":[{"id":"777","time":1795435000,"messaging":[
    {"sender":{"id":"9"},"message":{"mid":"m1","text":"a"}},{"sender":{"id":"9"},"message":{"mid":"m2","text":"b"}}]}]}"#;

#[tokio::test]
async fn all_of_a_post_is_one_batch_and_once_there_is_known() {
    let intake = page();
    let hook = hook(APP_SECRET, Some(intake.clone()));
    assert_eq!(hook.post(TWO).await, StatusCode::OK);
    assert_eq!(hook.post(TWO).await, StatusCode::OK);
    let contents = intake.contents();
    assert_eq!((contents.committed(), contents.batches, contents.known), (2, 2, 2));
    let row = contents.row("message/m1/add").expect("a row");
    assert_eq!(row.received_at, "2026-11-23T11:56:40Z".parse::<Timestamp>().expect("an instant"));
    assert_eq!((row.scope.as_str(), &row.facts["via"]), ("messaging", &serde_json::json!("webhook")));
    let counted = hook.traffic.snapshot(Duration::from_hours(1));
    assert_eq!(counted.accepted.values().sum::<u64>(), 2, "what is new");
}

#[tokio::test]
async fn what_cannot_be_committed_is_to_be_sent_again() {
    let away = hook(APP_SECRET, None);
    assert_eq!(away.post(TWO).await, StatusCode::SERVICE_UNAVAILABLE);
    let intake = page();
    intake.unavailable(true);
    let failing = hook(APP_SECRET, Some(intake.clone()));
    assert_eq!(failing.post(TWO).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(intake.contents().committed(), 0);
    intake.unavailable(false);
    assert_eq!(failing.post(TWO).await, StatusCode::OK);
}

#[tokio::test]
async fn one_that_the_database_refuses_stops_only_itself() {
    let intake = page();
    intake.refuse(b"\"b\"");
    let hook = hook(APP_SECRET, Some(intake.clone()));
    assert_eq!(hook.post(TWO).await, StatusCode::SERVICE_UNAVAILABLE);
    let contents = intake.contents();
    assert!(contents.row("message/m1/add").is_some() && contents.row("message/m2/add").is_none());
}

#[tokio::test]
async fn a_commit_goes_to_its_end_though_nobody_waits_for_it_any_more() {
    let intake = page();
    intake.close_gate();
    let hook = hook(APP_SECRET, Some(intake.clone()));
    tokio::select! {
        status = hook.post(TWO) => panic!("answered with {status} before its commit"),
        () = intake.until_waiting(1) => {}
    }
    intake.let_through(2);
    assert_eq!(hook.post(TWO).await, StatusCode::OK);
    let contents = intake.contents();
    assert_eq!((contents.committed(), contents.batches, contents.known), (2, 2, 2));
}

#[tokio::test]
async fn who_is_nobody_here_is_named_by_id_if_it_is_a_page() {
    let intake = page();
    let hook = hook(APP_SECRET, Some(intake.clone()));
    for body in [
        r#"{"object":"page","entry":[{"id":"888","messaging":[{}]}]}"#,
        r#"{"object":"user","entry":[{"id":"4711","uid":"4711","changes":[{"field":"hometown"}]}]}"#,
        r#"{"object":"page","entry":[{"id":"\u001b[2J","messaging":[{}]}]}"#,
    ] {
        assert_eq!(hook.post(body).await, StatusCode::OK);
    }
    assert_eq!(hook.traffic.snapshot(Duration::from_hours(1)).strangers, ["", "888", "user"]);
    assert_eq!(intake.contents().committed(), 0);
}

#[tokio::test]
async fn a_time_that_cannot_be_is_ours() {
    let intake = page();
    let hook = hook(APP_SECRET, Some(intake.clone()));
    for (mid, body) in [
        (
            "m3",
            r#"{"object":"page","entry":[{"id":"777","time":1519399307,"messaging":[{"message":{"mid":"m3"}}]}]}"#,
        ),
        (
            "m4",
            r#"{"object":"page","entry":[{"id":"777","time":1995435000,"messaging":[{"message":{"mid":"m4"}}]}]}"#,
        ),
        ("m5", r#"{"object":"page","entry":[{"id":"777","messaging":[{"message":{"mid":"m5"}}]}]}"#),
    ] {
        assert_eq!(hook.post(body).await, StatusCode::OK);
        assert_eq!(
            intake.contents().row(&format!("message/{mid}/add")).map(|row| row.received_at),
            Some(noon())
        );
    }
}
