//! A token endpoint on loopback, as strict as the real ones: it checks method, content type, application, secret and scope; it
//! replaces refresh tokens and, when one is used a second time, revokes all that came of it (RFC 6819 5.2.2.3); it knows the
//! device grant, the code grant with PKCE, and tells mail servers whose an access token is (RFC 7662). It can be told to fail.

mod http;

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

use http::{Request, respond};

/// The application that is registered.
pub const CLIENT_ID: &str = "0a1b2c3d-smista";
/// Its secret.
pub const CLIENT_SECRET: &str = "segreto~dell'applicazione&=+%";
/// The scope that it may ask for.
pub const SCOPE: &str = "https://mail.example/IMAP.AccessAsUser.All offline_access";

/// How it fails.
#[derive(Debug, Clone)]
pub enum Failure {
    /// 400 (401 for `invalid_client`) with this `error`, and a sentence that names a person.
    Error(&'static str),
    /// This status, and perhaps `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// Status 200 and this text.
    Body(&'static str),
    /// Octets that are no HTTP.
    Garbage,
    /// An answer without end.
    Endless,
    /// 302 to itself.
    Redirect,
    /// The end of the connection.
    Close,
    /// Nothing, ever.
    Hang,
}

#[derive(Debug)]
struct Family {
    user: String,
    current: String,
    revoked: bool,
}

#[derive(Debug)]
struct Device {
    user_code: String,
    asked: usize,
    verdict: Option<Result<String, &'static str>>,
}

type Hook = Box<dyn FnMut() + Send>;

#[derive(Default)]
struct State {
    families: Vec<Family>,
    /// Which family a refresh token is of, the used ones too.
    refresh: HashMap<String, usize>,
    /// Access tokens and whose they are.
    access: HashMap<String, String>,
    devices: HashMap<String, Device>,
    /// Codes: challenge, redirect and user.
    codes: HashMap<String, (String, String, String)>,
    failures: Vec<Failure>,
    requests: Vec<(String, HashMap<String, String>)>,
    before_answer: Option<Hook>,
    /// Whose mailbox the application's own tokens open.
    app_opens: String,
    lifetime: u64,
    refresh_lifetime: Option<u64>,
    rotates: bool,
    pending: usize,
    slow_downs: usize,
    serial: u64,
}

struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<usize>,
    url: String,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The endpoint. It ends when dropped.
pub struct TokenEndpoint {
    inner: Arc<Inner>,
    _task: AbortOnDropHandle<()>,
}

impl TokenEndpoint {
    /// Starts one. Access tokens last an hour, refresh tokens are replaced at each use.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Mutex::new(State { lifetime: 3600, rotates: true, ..State::default() });
        let inner = Arc::new(Inner { state, changed: watch::Sender::new(0), url });
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { inner, _task: AbortOnDropHandle::new(task) })
    }

    /// The address of `/token`, `/device`, `/authorize` or `/introspect`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.inner.url)
    }

    /// A refresh token for a user, as a login gives it.
    pub fn log_in(&self, user: &str) -> String {
        self.inner.lock().new_family(user)
    }

    /// The application's own tokens open this user's mailbox.
    pub fn let_app_open(&self, user: &str) {
        user.clone_into(&mut self.inner.lock().app_opens);
    }

    /// How long access tokens last, in seconds.
    pub fn set_lifetime(&self, seconds: u64) {
        self.inner.lock().lifetime = seconds;
    }

    /// Tells how long refresh tokens last, in seconds.
    pub fn set_refresh_lifetime(&self, seconds: u64) {
        self.inner.lock().refresh_lifetime = Some(seconds);
    }

    /// Whether refresh tokens are replaced when they are used.
    pub fn set_rotates(&self, rotates: bool) {
        self.inner.lock().rotates = rotates;
    }

    /// Every access token is worth nothing from now on.
    pub fn revoke_access(&self) {
        self.inner.lock().access.clear();
    }

    /// Every refresh token is worth nothing from now on.
    pub fn revoke_grants(&self) {
        self.inner.lock().families.iter_mut().for_each(|family| family.revoked = true);
    }

    /// True if every login is still good: nobody used an old refresh token.
    pub fn all_good(&self) -> bool {
        self.inner.lock().families.iter().all(|family| !family.revoked)
    }

    /// What the next requests to `/token` and `/device` meet, in this order.
    pub fn fail(&self, failures: &[Failure]) {
        self.inner.lock().failures.extend(failures.iter().rev().cloned());
    }

    /// Runs once, after the next token was made and before it is given.
    pub fn before_answer(&self, hook: impl FnOnce() + Send + 'static) {
        let mut hook = Some(hook);
        let once = move || {
            if let Some(hook) = hook.take() {
                hook();
            }
        };
        self.inner.lock().before_answer = Some(Box::new(once));
    }

    /// The person at the device's page is asked so many times in vain, and so many times it is too often.
    pub fn hesitate(&self, pending: usize, slow_downs: usize) {
        let mut state = self.inner.lock();
        (state.pending, state.slow_downs) = (pending, slow_downs);
    }

    /// Whoever has this code on the screen logs in as `user`, or is refused with an error. False if there is no such code.
    pub fn confirm(&self, user_code: &str, verdict: Result<&str, &'static str>) -> bool {
        let mut state = self.inner.lock();
        let found = state.devices.values_mut().find(|device| device.user_code == user_code);
        found.map(|device| device.verdict = Some(verdict.map(str::to_owned))).is_some()
    }

    /// What a browser at the consent page of this address ends at, once `user` has consented.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn consent(&self, url: &str, user: &str) -> Result<String, String> {
        let (page, query) = url.split_once('?').ok_or("no query")?;
        let asked = http::form(query);
        let value = |key: &str| asked.get(key).cloned().unwrap_or_default();
        for (key, wanted) in [
            ("client_id", CLIENT_ID),
            ("response_type", "code"),
            ("scope", SCOPE),
            ("code_challenge_method", "S256"),
            ("access_type", "offline"),
        ] {
            if value(key) != wanted {
                return Err(format!("{key} is {}", value(key)));
            }
        }
        if page != self.url("/authorize") || value("state").len() < 20 {
            return Err(format!("{page} with {}", value("state")));
        }
        let mut state = self.inner.lock();
        let code = state.new_word("4/code");
        let (challenge, redirect) = (value("code_challenge"), value("redirect_uri"));
        state.codes.insert(code.clone(), (challenge, redirect.clone(), user.to_owned()));
        Ok(format!("{redirect}/?state={}&code={}&scope=x", value("state"), code.replace('/', "%2F")))
    }

    /// How many requests a path had.
    pub fn count(&self, path: &str) -> usize {
        self.inner.lock().requests.iter().filter(|(asked, _)| asked == path).count()
    }

    /// The form of each request to a path.
    pub fn forms(&self, path: &str) -> Vec<HashMap<String, String>> {
        let state = self.inner.lock();
        state.requests.iter().filter(|(asked, _)| asked == path).map(|(_, form)| form.clone()).collect()
    }

    /// Every token that was ever given: none of them may stand in a log.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.inner.lock();
        state.refresh.keys().chain(state.access.keys()).cloned().collect()
    }

    /// Waits until a path had so many requests.
    pub async fn until(&self, path: &str, requests: usize) {
        let mut changed = self.inner.changed.subscribe();
        while self.count(path) < requests {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

impl State {
    fn new_word(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{kind}.{:016x}.{}", fastrand::u64(..), self.serial)
    }

    fn new_family(&mut self, user: &str) -> String {
        let token = self.new_word("refresh");
        self.refresh.insert(token.clone(), self.families.len());
        self.families.push(Family { user: user.to_owned(), current: token.clone(), revoked: false });
        token
    }

    /// An answer with tokens.
    fn tokens(&mut self, user: &str, refresh: Option<String>) -> (u16, Value) {
        let token = self.new_word("access");
        self.access.insert(token.clone(), user.to_owned());
        let mut answer = serde_json::Map::new();
        answer.insert("token_type".to_owned(), "Bearer".into());
        answer.insert("access_token".to_owned(), token.into());
        answer.insert("expires_in".to_owned(), self.lifetime.into());
        if let Some(refresh) = refresh {
            answer.insert("refresh_token".to_owned(), refresh.into());
            let ends = self.refresh_lifetime.map(|secs| ("refresh_token_expires_in".to_owned(), secs.into()));
            answer.extend(ends);
        }
        (200, answer.into())
    }

    fn token(&mut self, form: &HashMap<String, String>) -> (u16, Value) {
        let value = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
        if value("client_id") != CLIENT_ID || value("client_secret") != CLIENT_SECRET {
            return (401, error("invalid_client"));
        }
        match value("grant_type") {
            "client_credentials" | "refresh_token" if value("scope") != SCOPE => {
                (400, error("invalid_scope"))
            }
            "client_credentials" => self.tokens(&self.app_opens.clone(), None),
            "refresh_token" => self.refreshed(value("refresh_token")),
            "urn:ietf:params:oauth:grant-type:device_code" => self.device_token(value("device_code")),
            "authorization_code" => {
                let Some((challenge, redirect, user)) = self.codes.remove(value("code")) else {
                    return (400, error("invalid_grant"));
                };
                let digest = Sha256::digest(value("code_verifier").as_bytes());
                if challenge != http::base64url(&digest) || redirect != value("redirect_uri") {
                    return (400, error("invalid_grant"));
                }
                let refresh = self.new_family(&user);
                self.tokens(&user, Some(refresh))
            }
            _ => (400, error("unsupported_grant_type")),
        }
    }

    fn refreshed(&mut self, token: &str) -> (u16, Value) {
        let Some(of) = self.refresh.get(token).copied() else { return (400, error("invalid_grant")) };
        let rotates = self.rotates;
        let new = self.new_word("refresh");
        let Some(family) = self.families.get_mut(of) else { return (400, error("invalid_grant")) };
        // used a second time: somebody else has it
        family.revoked |= family.current != token;
        if family.revoked {
            return (400, error("invalid_grant"));
        }
        let user = family.user.clone();
        if !rotates {
            return self.tokens(&user, None);
        }
        family.current.clone_from(&new);
        self.refresh.insert(new.clone(), of);
        self.tokens(&user, Some(new))
    }

    fn device_token(&mut self, code: &str) -> (u16, Value) {
        let (pending, slow_downs) = (self.pending, self.slow_downs);
        let Some(device) = self.devices.get_mut(code) else { return (400, error("expired_token")) };
        device.asked += 1;
        if device.asked <= slow_downs {
            return (400, error("slow_down"));
        }
        if device.asked <= slow_downs + pending {
            return (400, error("authorization_pending"));
        }
        match device.verdict.clone() {
            None => (400, error("authorization_pending")),
            Some(Err(refused)) => (400, error(refused)),
            Some(Ok(user)) => {
                self.devices.remove(code);
                let refresh = self.new_family(&user);
                self.tokens(&user, Some(refresh))
            }
        }
    }

    fn device(&mut self, form: &HashMap<String, String>, base: &str) -> (u16, Value) {
        let value = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
        if value("client_id") != CLIENT_ID {
            return (401, error("invalid_client"));
        }
        if value("scope") != SCOPE {
            return (400, error("invalid_scope"));
        }
        let (code, n) = (self.new_word("device"), self.serial);
        let user_code = format!("BCDF-{n:04}");
        let device = Device { user_code: user_code.clone(), asked: 0, verdict: None };
        self.devices.insert(code.clone(), device);
        let answer = json!({
            "device_code": code, "user_code": user_code, "verification_uri": format!("{base}/activate"),
            "expires_in": 900, "interval": 0,
        });
        (200, answer)
    }

    fn introspect(&self, form: &HashMap<String, String>) -> (u16, Value) {
        let user = form.get("token").and_then(|token| self.access.get(token));
        (200, user.map_or(json!({ "active": false }), |user| json!({ "active": true, "username": user })))
    }
}

/// What a provider says beside the code is for people and may name one.
fn error(code: &str) -> Value {
    json!({ "error": code, "error_description": "AADSTS70000: Ermenegilda Quondamstefano, segreta" })
}

async fn serve(mut stream: TcpStream, inner: Arc<Inner>) -> io::Result<()> {
    let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
    let failure = {
        let mut state = inner.lock();
        state.requests.push((request.path.clone(), request.form.clone()));
        if request.path == "/introspect" { None } else { state.failures.pop() }
    };
    inner.changed.send_modify(|n| *n += 1);
    if let Some(failure) = failure {
        return http::fail(&mut stream, &failure, &inner.url).await;
    }
    let form_only = request.method == "POST" && request.content_type == "application/x-www-form-urlencoded";
    let (status, answer) = match request.path.as_str() {
        _ if !form_only => (400, error("invalid_request")),
        "/token" => inner.lock().token(&request.form),
        "/device" => inner.lock().device(&request.form, &inner.url),
        "/introspect" => inner.lock().introspect(&request.form),
        _ => (404, json!({})),
    };
    let hook = if request.path == "/token" { inner.lock().before_answer.take() } else { None };
    if let Some(mut hook) = hook {
        hook();
    }
    respond(&mut stream, status, "", answer.to_string().as_bytes()).await
}
