//! `GET|POST /webhooks/meta`: the handshake, and what Meta sends.
//!
//! In this order: a place among the requests, the body within its bounds, the signature over its bytes, only then JSON; then all pieces
//! of one POST for one channel in one call of [`Intake::accept`], and 200 when every channel has committed. A POST that is not
//! answered with 200 is sent again by Meta, and its keys make that harmless.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
    routing,
};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use smista_domain::{ChannelName, Delivery, Intake, IntakeError, Upstream};
use smista_meta::{
    MetaSettings, signature,
    signature::SignatureError,
    split::{Piece, split},
};
use tokio::sync::Semaphore;

use crate::{
    body::{self, Bounds, Unread},
    problem::{plain, problem},
    traffic::{Refusal, Traffic},
};

/// A larger body is refused. Bodies of 300 kB are real.
const MAX_BODY: usize = 4 << 20;
/// Bodies of all requests together.
const MAX_BODIES: usize = 32 << 20;
/// Time for a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Meta waits for five seconds.
const COMMIT_WITHIN: Duration = Duration::from_secs(4);
/// POSTs that are committed at the same time: the pipeline needs connections to the database as well.
const COMMITTING: usize = 4;
/// A longer challenge is none.
const MAX_CHALLENGE: usize = 1_000;
/// Meta tries again for 36 hours; a time further back is that of a test, or a clock's mistake.
const LATE: SignedDuration = SignedDuration::from_hours(48);

/// Gives where a channel's deliveries go; `None` while the database is away.
type Intakes<I> = Box<dyn Fn(&ChannelName) -> Option<I> + Send + Sync>;

/// The webhook of one app.
pub struct MetaHook<I> {
    settings: Arc<MetaSettings>,
    intake: Intakes<I>,
    clock: fn() -> Timestamp,
    traffic: Arc<Traffic>,
    bounds: Bounds,
    committing: Arc<Semaphore>,
}

impl<I: Intake> MetaHook<I> {
    /// `intake` gives where a channel's deliveries go; `None` while the database is away.
    pub fn new(
        settings: Arc<MetaSettings>,
        intake: impl Fn(&ChannelName) -> Option<I> + Send + Sync + 'static,
        clock: fn() -> Timestamp,
        traffic: Arc<Traffic>,
    ) -> Self {
        Self {
            settings,
            intake: Box::new(intake),
            clock,
            traffic,
            bounds: Bounds::new(MAX_BODY, BODY_WITHIN, MAX_BODIES),
            committing: Arc::new(Semaphore::new(COMMITTING)),
        }
    }

    fn refuse(&self, why: Refusal) -> Response<Body> {
        self.traffic.refused(why);
        let (status, detail) = match why {
            Refusal::VerifyToken => {
                (StatusCode::FORBIDDEN, "the verify token is not the one of this address")
            }
            Refusal::NoSignature => {
                (StatusCode::FORBIDDEN, "X-Hub-Signature-256 is missing or malformed; SHA-1 is not accepted")
            }
            Refusal::WrongSignature => {
                (StatusCode::FORBIDDEN, "X-Hub-Signature-256 fits no app secret of this address")
            }
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MB"),
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not come to its end in time"),
            Refusal::Unreadable => (
                StatusCode::BAD_REQUEST,
                "the body is no JSON, is nested too deeply, or has too many updates",
            ),
            Refusal::NoSecret | Refusal::Busy | Refusal::Database => {
                (StatusCode::SERVICE_UNAVAILABLE, "nothing was taken in: send it again later")
            }
        };
        problem(status, why.as_str(), detail)
    }

    /// The signature over the bytes as they came. Secrets are read anew: one that was changed needs no restart.
    fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<(), Refusal> {
        let secrets: Vec<SecretString> =
            self.settings.app_secrets.iter().filter_map(|source| source.load().ok()).collect();
        match signature::verify(header, body, &secrets) {
            Ok(()) => Ok(()),
            Err(SignatureError::Missing | SignatureError::Malformed) => Err(Refusal::NoSignature),
            Err(SignatureError::Wrong) if secrets.is_empty() => Err(Refusal::NoSecret),
            Err(SignatureError::Wrong) => Err(Refusal::WrongSignature),
        }
    }

    /// What came, by channel. What is for nobody here is kept nowhere: its account may be anybody's, and its content is none of ours.
    fn sort(&self, pieces: Vec<Piece>) -> Vec<(ChannelName, Vec<Delivery>)> {
        let now = (self.clock)();
        let mut sorted: Vec<(ChannelName, Vec<Delivery>)> = Vec::new();
        for piece in pieces {
            let Some(channel) = self.settings.channel_of(&piece.account) else {
                self.traffic.stranger(stranger(&piece));
                continue;
            };
            let delivery = delivery(channel, piece, now);
            match sorted.iter_mut().find(|(known, _)| known == channel) {
                Some((_, deliveries)) => deliveries.push(delivery),
                None => sorted.push((channel.clone(), vec![delivery])),
            }
        }
        sorted
    }

    /// Commits, channel by channel.
    async fn commit(&self, sorted: Vec<(ChannelName, Vec<Delivery>)>) -> Result<(), Refusal> {
        for (channel, deliveries) in sorted {
            let intake = (self.intake)(&channel).ok_or(Refusal::Database)?;
            self.hand_over(&intake, &channel, deliveries).await?;
        }
        Ok(())
    }

    /// Hands over in one call. Only what the database refuses for its content is halved, until the one that it will not take is alone:
    /// the others are committed, and that one is told to be sent again.
    async fn hand_over(
        &self,
        intake: &I,
        channel: &ChannelName,
        deliveries: Vec<Delivery>,
    ) -> Result<(), Refusal> {
        let (mut left, mut refused) = (vec![deliveries], false);
        while let Some(batch) = left.pop() {
            let error = match intake.accept(batch.clone(), None).await {
                Ok(accepted) => {
                    self.traffic.accepted(channel, accepted.new);
                    continue;
                }
                Err(error) => error,
            };
            tracing::warn!(channel.name = %channel, error = smista_domain::chain(&error), updates = batch.len(), "not taken in");
            if !matches!(error, IntakeError::Refused(_)) {
                return Err(Refusal::Database);
            }
            if batch.len() > 1 {
                let (first, second) = batch.split_at(batch.len() / 2);
                left.extend([second.to_vec(), first.to_vec()]);
            } else {
                refused = true;
            }
        }
        if refused { Err(Refusal::Database) } else { Ok(()) }
    }

    async fn take(self: &Arc<Self>, request: Request) -> Result<(), Refusal> {
        let (parts, body) = request.into_parts();
        let header = parts.headers.get(signature::HEADER).map(|value| value.as_bytes().to_vec());
        if header.is_none() {
            return Err(Refusal::NoSignature);
        }
        let announced = parts.headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        let held = body::read(body, announced, &self.bounds).await.map_err(|unread| match unread {
            Unread::TooLarge => Refusal::TooLarge,
            Unread::TooSlow | Unread::Broken => Refusal::TooSlow,
            Unread::NoRoom => Refusal::Busy,
        })?;
        let hook = Arc::clone(self);
        // A large body keeps a processor busy for a while: off the runtime's threads.
        let worked = tokio::task::spawn_blocking(move || {
            hook.verify(header.as_deref(), &held.bytes)?;
            let pieces = split(&held.bytes).map_err(|error| {
                tracing::warn!("a signed body was refused: {error}");
                Refusal::Unreadable
            })?;
            Ok(hook.sort(pieces))
        });
        let sorted = worked.await.map_err(|_| Refusal::Busy)??;
        // A commit that takes too long for Meta goes on to its end, in its place: what is sent again then finds it there.
        let committed = async {
            let turn = Arc::clone(&self.committing).acquire_owned().await.map_err(|_| Refusal::Busy)?;
            let hook = Arc::clone(self);
            let commit = tokio::spawn(async move {
                let _turn = turn;
                hook.commit(sorted).await
            });
            commit.await.map_err(|_| Refusal::Busy)?
        };
        tokio::time::timeout(COMMIT_WITHIN, committed).await.map_err(|_| Refusal::Database)?
    }
}

/// What is said of an update that is for nobody here: the page's id. Of what is no page's or account's (`user`) the id is a person's.
fn stranger(piece: &Piece) -> &str {
    let id = piece.account.as_str();
    match piece.object.as_str() {
        "" | "page" | "instagram" if id.bytes().all(|b| b.is_ascii_digit()) => id,
        "" | "page" | "instagram" => "",
        object => object,
    }
}

/// What is handed over for a piece.
fn delivery(channel: &ChannelName, piece: Piece, now: Timestamp) -> Delivery {
    let plausible = |at: &Timestamp| *at <= now && now.duration_since(*at) <= LATE;
    Delivery {
        channel: channel.clone(),
        scope: piece.scope,
        key: piece.key,
        bytes: piece.bytes,
        received_at: piece.time.filter(plausible).unwrap_or(now),
        upstream: Upstream::Void,
        facts: serde_json::json!({ "via": "webhook" }),
        recognise: false,
    }
}

/// The public listener's routes.
pub fn router<I: Intake>(hook: MetaHook<I>) -> Router {
    let webhook = routing::get(handshake::<I>).post(receive::<I>).fallback(no_method);
    Router::new().route("/webhooks/meta", webhook).fallback(nothing_here).with_state(Arc::new(hook))
}

async fn nothing_here() -> Response<Body> {
    problem(StatusCode::NOT_FOUND, "not-found", "there is nothing here")
}

async fn no_method() -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "method", "GET and POST alone");
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, POST"));
    response
}

/// Meta asks whether the address is ours: `hub.mode=subscribe`, our verify token, and a challenge that is answered as it came.
async fn handshake<I: Intake>(State(hook): State<Arc<MetaHook<I>>>, request: Request) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let asked = |key: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
    };
    let token = asked("hub.verify_token").unwrap_or_default();
    let Ok(expected) = hook.settings.verify_token.load() else { return hook.refuse(Refusal::NoSecret) };
    let subscribes = asked("hub.mode").as_deref() == Some("subscribe");
    match asked("hub.challenge").filter(|challenge| challenge.len() <= MAX_CHALLENGE) {
        Some(challenge) if subscribes && signature::same(&token, &expected) => {
            tracing::info!("Meta has verified /webhooks/meta");
            plain(StatusCode::OK, "text/plain; charset=utf-8", challenge)
        }
        _ => hook.refuse(Refusal::VerifyToken),
    }
}

async fn receive<I: Intake>(State(hook): State<Arc<MetaHook<I>>>, request: Request) -> Response<Body> {
    match hook.take(request).await {
        Ok(()) => plain(StatusCode::OK, "text/plain; charset=utf-8", "ok".to_owned()),
        Err(why) => hook.refuse(why),
    }
}

#[cfg(test)]
mod tests;
