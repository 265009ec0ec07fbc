//! Calls that cannot be understood, and help: said in the language of the caller. clap speaks English only; its errors carry
//! what they are about, from which the Italian is made here.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use smista_domain::Lang;

use super::{exit::USAGE, render};

/// What clap puts into help by itself.
const FIXED: &[(&str, &str)] = &[
    ("[OPTIONS]", "[OPZIONI]"),
    ("[COMMAND]", "[COMANDO]"),
    ("Possible values:", "Valori possibili:"),
    ("[possible values: ", "[valori possibili: "),
    ("[default: ", "[di solito: "),
];

/// Shows help, or says what is wrong with the call.
pub(crate) fn tell(error: &clap::Error, lang: Lang) -> ExitCode {
    match (error.kind(), lang) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => {
            let help = shown(error, lang, std::io::stdout().is_terminal());
            render::print_as_is(help.trim_end_matches('\n'));
            return ExitCode::SUCCESS;
        }
        (ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, _) | (_, Lang::En) => {
            let text = shown(error, lang, std::io::stderr().is_terminal());
            render::complain(text.trim_end_matches('\n'));
        }
        (_, Lang::It) => {
            let (what, hint) = italian(error);
            render::complain(&format!("smista: {what}\nCosa fare: {hint}"));
        }
    }
    ExitCode::from(USAGE)
}

/// As clap shows it, with its own words in the language of the caller.
fn shown(error: &clap::Error, lang: Lang, color: bool) -> String {
    let text = error.render();
    let text = if color { text.ansi().to_string() } else { text.to_string() };
    match lang {
        Lang::En => text,
        Lang::It => FIXED.iter().fold(text, |text, (en, it)| text.replace(en, it)),
    }
}

/// What is wrong and what to do.
fn italian(error: &clap::Error) -> (String, String) {
    let about = |kind| error.get(kind).map(list).unwrap_or_default();
    let (argument, value) = (about(ContextKind::InvalidArg), about(ContextKind::InvalidValue));
    let help = || "`smista --help` elenca i comandi; ogni comando ha il suo --help.".to_owned();
    let perhaps = |kind| {
        let suggested = about(kind);
        if suggested.is_empty() {
            help()
        } else {
            format!("forse si intendeva: {suggested}. Altrimenti, {}", help())
        }
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => (
            format!("il comando «{}» non esiste", about(ContextKind::InvalidSubcommand)),
            perhaps(ContextKind::SuggestedSubcommand),
        ),
        ErrorKind::UnknownArgument => {
            (format!("«{argument}» qui non è previsto"), perhaps(ContextKind::SuggestedArg))
        }
        ErrorKind::MissingRequiredArgument => {
            (format!("manca: {argument}"), format!("aggiungere ciò che manca; {}", help()))
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            (format!("manca il valore di {argument}"), format!("scriverlo dopo {argument}"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let valid = about(ContextKind::ValidValue);
            let hint = if valid.is_empty() { help() } else { format!("si può scegliere fra: {valid}") };
            (format!("«{value}» non è un valore valido per {argument}"), hint)
        }
        ErrorKind::ArgumentConflict => (
            format!("{argument} non va insieme a {}", about(ContextKind::PriorArg)),
            "scegliere l'uno o l'altro".to_owned(),
        ),
        _ => ("il comando non è scritto come dovrebbe".to_owned(), help()),
    }
}

fn list(value: &ContextValue) -> String {
    match value {
        ContextValue::String(one) => one.clone(),
        ContextValue::Strings(several) => several.join(", "),
        ContextValue::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn what_is_wrong_is_named() {
        for (call, what) in [
            (&["boh"][..], "il comando «boh» non esiste"),
            (&["queue", "show"], "manca: <NUMBER>"),
            (&["queue", "claim", "urp", "--max", "tre"], "«tre» non è un valore valido per --max <MAX>"),
            (&["queue", "list", "--limit"], "manca il valore di --limit <LIMIT>"),
            (&["status", "altro"], "«altro» qui non è previsto"),
            (&["deliveries", "retry", "3", "--all"], "non va insieme a"),
        ] {
            let error = Cli::try_parse_from([&["smista"], call].concat()).expect_err("a wrong call");
            assert!(italian(&error).0.contains(what), "{call:?}: {:?}", italian(&error));
        }
    }
}
