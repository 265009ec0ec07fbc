//! `smista login email/NAME`: the first access token of a mailbox, with the steps on the screen, and a try of it.

use std::time::Duration;

use smista_domain::{Channel as _, ChannelName, Lang, Remedy, Verdict};
use smista_email::{
    EmailChannel, EmailSettings,
    oauth::{Flow, TokenError, Tokens, login::Begun},
};

use super::{
    connect,
    exit::{FOUND, Failure, UNAVAILABLE, USAGE},
    render::{print, say},
};
use crate::{configuration::Configuration, pulses};

/// By how much the pauses grow when the provider asks for it (RFC 8628 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// Logs in, keeps the token, and tries it.
pub(crate) async fn run(configuration: &Configuration, name: &str, lang: Lang) -> Result<(), Failure> {
    let mailbox = find(configuration, name)?;
    let name = &mailbox.name;
    let (Some(settings), Some(tokens)) = (mailbox.oauth(), smista_email::tokens(mailbox)) else {
        return Err(Failure::new(
            USAGE,
            format!("La casella {name} entra con una password: non serve nessun login."),
            format!("The mailbox {name} has a password: no login is needed."),
        )
        .hint(
            "Per le caselle di Microsoft 365 e Google si scrive [email.oauth] al posto della password.",
            "For mailboxes of Microsoft 365 and Google, [email.oauth] stands in the password's place.",
        ));
    };
    let failed = |error: TokenError| {
        let (code, remedy) = error.code();
        failure(name, code, remedy, &smista_domain::chain(&error))
    };
    match settings.flow {
        Flow::ClientCredentials => print(say(
            lang,
            "Questa casella entra con le credenziali dell'applicazione: non serve nessun login. Si prova il token.",
            "This mailbox is entered with the application's own credentials: no login is needed. Trying the token.",
        )),
        Flow::RefreshToken => {
            first(&tokens, mailbox, lang).await?.map_err(failed)?;
            let place = settings.grant_file.path().display();
            print(&match lang {
                Lang::It => {
                    format!("\nToken ricevuto e conservato in {place}. Si prova l'accesso alla casella.")
                }
                Lang::En => format!("\nThe token has come and lies in {place}. Trying to enter the mailbox."),
            });
        }
    }
    let steps = EmailChannel::new(mailbox.clone()).probe().await;
    let failed = steps.iter().find(|step| step.verdict == Verdict::Error).map(|step| step.step);
    connect::print(&[(name.to_string(), steps)], lang);
    match failed {
        None => Ok(()),
        Some("settings" | "token" | "login" | "folder") => Err(Failure::silent(FOUND)),
        Some(_) => Err(Failure::silent(UNAVAILABLE)),
    }
}

fn find<'c>(configuration: &'c Configuration, name: &str) -> Result<&'c EmailSettings, Failure> {
    configuration.mailboxes.iter().find(|mailbox| mailbox.name.as_str() == name).ok_or_else(|| {
        let all: Vec<&str> = configuration.mailboxes.iter().map(|m| m.name.as_str()).collect();
        let all = all.join(", ");
        Failure::new(
            USAGE,
            format!("La casella «{name}» non è nella configurazione."),
            format!("The mailbox '{name}' is not in the configuration."),
        )
        .hint(format!("Le caselle sono: {all}."), format!("The mailboxes are: {all}."))
    })
}

/// What failed, in the words of `status`.
fn failure(name: &ChannelName, code: &str, remedy: Remedy, text: &str) -> Failure {
    let (what, todo) = pulses::in_words(name, code, text);
    let exit = if remedy == Remedy::AskOperator { FOUND } else { UNAVAILABLE };
    let failure = Failure::new(exit, what.it, what.en);
    match todo {
        Some(todo) => failure.hint(todo.it, todo.en),
        None => failure,
    }
}

/// Shows the steps and waits for whoever takes them.
async fn first(
    tokens: &Tokens,
    mailbox: &EmailSettings,
    lang: Lang,
) -> Result<Result<(), TokenError>, Failure> {
    let begun = match tokens.begin_login().await {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    let (name, user) = (&mailbox.name, &mailbox.user);
    match begun {
        Begun::Device(device) => {
            let (url, code, minutes) = (&device.url, &device.code, device.lifetime.as_secs() / 60);
            print(&match lang {
                Lang::It => format!(
                    "Per far entrare smista nella casella {name}:\n\n  \
                     1. aprire in un browser, anche di un altro computer:  {url}\n  \
                     2. scrivere questo codice:                            {code}\n  \
                     3. entrare come {user} (non con il proprio utente) e consentire l'accesso alla posta\n\n\
                     Il codice vale {minutes} minuti. Qui si attende la conferma; Ctrl-C interrompe, e nulla cambia."
                ),
                Lang::En => format!(
                    "To let smista into the mailbox {name}:\n\n  \
                     1. open in a browser, perhaps on another computer:  {url}\n  \
                     2. write this code:                                 {code}\n  \
                     3. log in as {user} (not as yourself) and allow access to the mail\n\n\
                     The code is good for {minutes} minutes. Waiting for its confirmation; Ctrl-C ends this and nothing changes."
                ),
            });
            Ok(tokens.await_device(&device, SLOWER).await)
        }
        Begun::Browser(browser) => {
            let url = &browser.url;
            print(&match lang {
                Lang::It => format!(
                    "Per far entrare smista nella casella {name}:\n\n  \
                     1. aprire in un browser, anche di un altro computer:\n\n{url}\n\n  \
                     2. entrare come {user} (non con il proprio utente) e consentire l'accesso alla posta\n  \
                     3. alla fine il browser dice che la pagina http://localhost non si trova: è giusto così.\n     \
                     Copiare l'intero indirizzo dalla barra del browser, incollarlo qui e premere Invio:\n"
                ),
                Lang::En => format!(
                    "To let smista into the mailbox {name}:\n\n  \
                     1. open in a browser, perhaps on another computer:\n\n{url}\n\n  \
                     2. log in as {user} (not as yourself) and allow access to the mail\n  \
                     3. in the end the browser says that the page http://localhost cannot be reached: that is right.\n     \
                     Copy the whole address from the browser's bar, paste it here and press Enter:\n"
                ),
            });
            Ok(tokens.redeem(&browser, &line().await?).await)
        }
    }
}

/// The line that somebody pastes.
async fn line() -> Result<String, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    match read.await {
        Ok(Ok(line)) if !line.trim().is_empty() => Ok(line),
        _ => Err(Failure::new(FOUND, "Non è stato incollato nulla.", "Nothing was pasted.").hint(
            "Eseguire di nuovo il comando e incollare l'indirizzo in cui il browser è finito.",
            "Run the command again, and paste the address at which the browser ended.",
        )),
    }
}
