//! How many messages a core decides in a second of its time, with 50 rules and with 5,000: `cargo run --release -p smista-triage --example decisions`.
//!
//! Both rule sets find the same in the messages: the 5,000 are the 50 and 4,950 more, with words of their own, phrases and gaps
//! that begin with the commonest words of the messages, `~typos`, senders and regular expressions. What is measured is what
//! rules cost that are there and do not hold. Prints one line of JSON for each length of message.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement, not a part of the program")]

use std::{fmt::Write as _, hint::black_box};

use jiff::Timestamp;
use smista_domain::{Message, SectorId, Sender, ThreadKeys};
use smista_settings::{Diagnostics, Environment, Sectors, Sources, parse};
use smista_triage::{Context, RuleSpec, Rules, Settings, decide};

const SENTENCES: &[&str] = &[
    "Buongiorno, scrivo per segnalare che in via Dante Alighieri, davanti al civico 12, la strada è in pessime condizioni da mesi.",
    "Ho già telefonato due volte all'ufficio competente ma nessuno mi ha saputo dire quando verrà fatto l'intervento.",
    "Ieri sera mia madre, che ha ottant'anni, è quasi caduta mentre tornava a casa dalla farmacia di piazza Quaranta Martiri.",
    "Chiedo cortesemente di sapere a chi mi devo rivolgere e quali documenti servono per presentare la domanda.",
    "L'acqua esce dal tombino ogni volta che piove forte e arriva fino all'ingresso del garage condominiale.",
    "Il camion della raccolta passa troppo presto la mattina e sveglia tutti i bambini del palazzo.",
    "Non è possibile che dopo tutte le tasse che paghiamo il parco giochi sia ancora chiuso!",
    "Allego alcune fotografie scattate questa mattina, si vede bene il palo piegato vicino all'incrocio con la provinciale.",
    "Vi ringrazio per l'attenzione e resto in attesa di un vostro gentile riscontro.",
    "Cordiali saluti, un cittadino che paga le tasse e vorrebbe vedere la città più pulita.",
    "La luce del terzo lampione si accende e si spegne tutta la notte, mentre gli altri due sono spenti da settimane.",
    "Vorrei prenotare un appuntamento per il rinnovo della carta d'identità di mio figlio che ha quattordici anni.",
    "Il vicino brucia le potature in giardino e il fumo entra nelle case, soprattutto la domenica pomeriggio.",
    "Davanti alla scuola le macchine parcheggiano sul marciapiede e i ragazzi devono camminare in mezzo alla strada.",
    "Mi hanno detto che bisogna compilare un modulo online, però il sito non funziona e il telefono squilla a vuoto.",
];

/// Numbers that look random and are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
    /// A word that Italian might have.
    fn word(&mut self) -> String {
        let beginnings = [
            "b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "br", "cr", "gr", "st", "tr",
            "sc", "pr",
        ];
        let vowels = ["a", "e", "i", "o", "u"];
        let endings = ["ato", "one", "ura", "ione", "ello", "ista", "ale", "ino", "etto", "ica"];
        let mut word = String::new();
        for _ in 0..2 + self.below(2) {
            word.push_str(self.pick(&beginnings));
            word.push_str(self.pick(&vowels));
        }
        word + self.pick(&beginnings) + self.pick(&endings)
    }
}

fn spec(n: usize, numbers: &mut Numbers, words: &mut Vec<String>) -> String {
    let common = ["via", "strada", "acqua", "casa", "ufficio", "palo", "luce", "tasse", "camion", "parco"];
    let own = numbers.word();
    words.push(own.clone());
    let mut any = vec![own.clone(), format!("{} {}", numbers.word(), numbers.word())];
    any.push(format!("{} {}", numbers.pick(&common), numbers.word()));
    any.push(format!("{} .. {}", numbers.pick(&common), numbers.word()));
    any.push(format!("~{}", numbers.word()));
    if n.is_multiple_of(10) {
        any.push(format!("/{}( di)? [0-9]+/", numbers.word()));
    }
    let none = format!("{own} {}", numbers.word());
    let sector = ["lavori-pubblici", "ambiente", "tributi", "urp"][n % 4];
    let sender = if n.is_multiple_of(7) {
        format!("any = []\nsender = [\"@{}.it\"]", numbers.word())
    } else {
        format!("any = {any:?}")
    };
    format!("[[rule]]\nid = \"regola-{n}\"\n{sender}\nnone = [\"{none}\"]\nsector = \"{sector}\"\n")
}

fn compile(text: String) -> Rules {
    let mut sources = Sources::new(".".into(), Environment::default());
    let diagnostics = Diagnostics::new();
    let mut section = |name: &str, text: String| {
        let file = sources.add(name.into(), text.into_bytes()).unwrap();
        parse(&mut sources, file, &diagnostics).unwrap()
    };
    let ids = ["urp", "lavori-pubblici", "ambiente", "tributi"];
    let mut sectors = String::new();
    for id in ids {
        let _ = write!(
            sectors,
            "[[sector]]
id = \"{id}\"
name = \"{id}\"
"
        );
    }
    sectors.push_str("[[kind]]\nid = \"segnalazione\"\nname = \"Segnalazione\"\n");
    let sectors = Sectors::read(section("sectors.toml", sectors));
    let specs = RuleSpec::read_file(section("rules.toml", text));
    let settings = Settings::new(SectorId::new("urp").unwrap());
    Rules::compile(specs, &sectors, settings, &diagnostics)
        .unwrap_or_else(|| panic!("{:?}", diagnostics.into_sorted(&sources)))
}

fn message(length: usize, numbers: &mut Numbers, words: &[String]) -> Message {
    let mut text = String::new();
    while text.len() < length {
        text.push_str(numbers.pick(SENTENCES));
        text.push(if numbers.below(3) == 0 { '\n' } else { ' ' });
        if numbers.below(4) == 0 {
            let _ = write!(text, "Si tratta di {}. ", words[numbers.below(words.len())]);
        }
    }
    text.truncate(text.floor_char_boundary(length));
    Message {
        sender: Sender { name: None, address: Some("mario.rossi@example.it".to_owned()) },
        recipients: vec!["urp@comune.example.it".to_owned()],
        subject: format!("Segnalazione: {}", words[numbers.below(words.len())]),
        text,
        quoted: String::new(),
        signature: String::new(),
        sent_at: None,
        received_at: Timestamp::UNIX_EPOCH,
        folder: "INBOX".to_owned(),
        attachments: Vec::new(),
        thread: ThreadKeys::default(),
        documents: Vec::new(),
        place: None,
        certified: None,
        protocol: None,
        form: None,
        forwarded_by: None,
        notes: Vec::new(),
    }
}

/// Seconds that this thread has had a core: other programs on the machine do not count.
fn core_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// Decisions per second of one core, with each of two rulesets: the best of several rounds, taken in turns.
fn rates(messages: &[Message], rulesets: [&Rules; 2]) -> [f64; 2] {
    let context = Context::new("email/urp".parse().unwrap());
    let mut best = [f64::INFINITY; 2];
    for _ in 0..9 {
        for (best, rules) in best.iter_mut().zip(rulesets) {
            let start = core_seconds();
            for message in messages {
                black_box(decide(black_box(message), &context, rules));
            }
            *best = best.min(core_seconds() - start);
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
    let many = messages.len() as f64;
    best.map(|seconds| many / seconds)
}

fn main() {
    let mut numbers = Numbers(2026);
    let mut words = Vec::new();
    let all: Vec<String> = (0..5000).map(|n| spec(n, &mut numbers, &mut words)).collect();
    words.truncate(50);
    let few = compile(all[..50].concat());
    let start = core_seconds();
    let many = compile(all.concat());
    let compiling = core_seconds() - start;
    for length in [500, 2000] {
        let messages: Vec<Message> = (0..400).map(|_| message(length, &mut numbers, &words)).collect();
        let votes: usize = messages
            .iter()
            .map(|m| decide(m, &Context::new("email/urp".parse().unwrap()), &many).votes.len())
            .sum();
        let [with_few, with_many] = rates(&messages, [&few, &many]);
        println!(
            "{{\"message_octets\": {length}, \"votes_per_message\": {:.1}, \"per_second_50_rules\": {with_few:.0}, \
             \"per_second_5000_rules\": {with_many:.0}, \"ratio\": {:.2}, \"compile_5000_seconds\": {compiling:.2}}}",
            f64::from(u32::try_from(votes).unwrap()) / 400.0,
            with_many / with_few,
        );
    }
}
