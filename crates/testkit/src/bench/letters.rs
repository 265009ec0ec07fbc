//! A mailbox as a town hall has it: Italian letters about what citizens write about, most of them text and HTML, one in ten with
//! a photograph, 20 kB on average; some are replies, some are automatic.

#![allow(clippy::indexing_slicing, reason = "tables of this file")]

use std::fmt::Write as _;

/// What one letter may be about: subject, then sentences.
const SUBJECTS: &[(&str, &[&str])] = &[
    (
        "Buca pericolosa in via Dante",
        &[
            "In via Dante Alighieri, davanti al civico 12, si è aperta una buca profonda che nessuno ha ancora riparato.",
            "L'asfalto è dissestato per tutta la lunghezza della strada e con la pioggia non si vede più niente.",
            "Ieri una signora in bicicletta è caduta e si è fatta male a un ginocchio.",
        ],
    ),
    (
        "Lampione spento da tre settimane",
        &[
            "Il terzo lampione di via XX Settembre è spento da tre settimane e la sera non ci si vede.",
            "Ho già telefonato due volte, ma l'illuminazione pubblica non è stata sistemata.",
            "Chi torna dal lavoro la sera ha paura a passare di lì.",
        ],
    ),
    (
        "Mancato ritiro dei rifiuti",
        &[
            "Anche questa settimana la raccolta dell'umido non è passata nella nostra via.",
            "I cassonetti della differenziata sono pieni e qualcuno lascia i sacchi per terra.",
            "C'è un cattivo odore e la notte vengono i cinghiali.",
        ],
    ),
    (
        "Informazioni sulla TARI",
        &[
            "Ho ricevuto l'avviso di pagamento della TARI e non capisco come sia stato calcolato l'importo.",
            "L'appartamento è vuoto da gennaio e le utenze sono staccate.",
            "Vorrei sapere se ho diritto a una riduzione e quale modulo devo presentare all'ufficio tributi.",
        ],
    ),
    (
        "Appuntamento carta d'identità",
        &[
            "Vorrei prenotare un appuntamento per il rinnovo della carta d'identità elettronica di mio figlio.",
            "Sul sito non ci sono posti liberi prima di due mesi e noi partiamo a Natale.",
            "Serve anche la presenza di entrambi i genitori allo sportello dell'anagrafe?",
        ],
    ),
    (
        "Macchine sul marciapiede davanti alla scuola",
        &[
            "Ogni mattina davanti alla scuola le macchine parcheggiano sul marciapiede in divieto di sosta.",
            "I bambini devono camminare in mezzo alla strada e prima o poi succede una disgrazia.",
            "Chiedo che la polizia locale faccia qualche controllo.",
        ],
    ),
    (
        "Iscrizione al nido comunale",
        &[
            "Vorrei sapere quando aprono le iscrizioni al nido comunale e come si forma la graduatoria.",
            "Mia figlia compie un anno a marzo e lavoriamo tutti e due.",
            "È necessario l'ISEE in corso di validità?",
        ],
    ),
    (
        "Richiesta di accesso agli atti",
        &[
            "Chiedo di prendere visione e di avere copia del permesso di costruire del fabbricato confinante.",
            "La richiesta è motivata dalla necessità di verificare le distanze dal confine.",
            "Resto in attesa di sapere quanto costano i diritti di copia.",
        ],
    ),
    (
        "Grazie",
        &[
            "Volevo soltanto ringraziare gli operai che ieri hanno sistemato il parco giochi.",
            "È stato un lavoro fatto bene e in poco tempo, complimenti a tutti.",
        ],
    ),
    (
        "Albero pericolante",
        &[
            "Dopo il vento di domenica un grosso ramo del tiglio di piazza Quaranta Martiri è pericolante.",
            "Sotto ci sono le panchine dove si siedono gli anziani.",
            "Chiedo un intervento urgente del verde pubblico.",
        ],
    ),
    (
        "Perdita d'acqua",
        &[
            "Da ieri sera esce acqua dal tombino all'angolo con via Cairoli e arriva fino ai garage.",
            "La pressione in casa è scesa e non riusciamo a fare la doccia.",
        ],
    ),
    (
        "Una domanda",
        &[
            "Non so bene a chi rivolgermi, spero che possiate inoltrare il mio messaggio a chi di competenza.",
            "Mi hanno detto all'ufficio che bisogna compilare un modulo, però non mi hanno detto quale.",
        ],
    ),
];

/// What people write around it.
const AROUND: &[&str] = &[
    "Vi scrivo perché ormai non so più a chi rivolgermi e spero che questa volta qualcuno mi risponda.",
    "Abito in questa zona da più di vent'anni e una situazione così non l'avevo mai vista.",
    "Capisco che il personale sia poco e che le cose da fare siano tante, ma qui si tratta della sicurezza di tutti.",
    "Mia madre ha ottantadue anni e cammina con il bastone, per lei uscire di casa è diventato un problema.",
    "Ne ho parlato anche con i vicini, e siamo tutti d'accordo che così non si può andare avanti.",
    "Se serve posso mandare altre fotografie oppure venire di persona, la mattina sono sempre libero.",
    "Vi lascio il mio numero di telefono, potete chiamarmi in qualunque momento dopo le quattro del pomeriggio.",
    "L'anno scorso avevo già mandato una lettera, ma non ho mai ricevuto risposta.",
    "Ringrazio fin d'ora per l'attenzione e resto in attesa di un vostro cortese riscontro.",
    "In questi giorni il tempo è stato brutto e la cosa è peggiorata ancora.",
    "Non voglio fare polemica, però le tasse le paghiamo tutti e qualche servizio ce lo aspettiamo.",
    "Mio marito dice che è inutile scrivere, io invece penso che valga la pena provare.",
];

const NAMES: &[&str] = &[
    "Maria Rossi",
    "Giuseppe Bianchi",
    "Anna Ricci",
    "Luca Moretti",
    "Francesca Conti",
    "Paolo Gallo",
    "Elena Fontana",
    "Marco Barbieri",
    "Chiara Lombardi",
    "Sergio Mancini",
    "Rosa Pellegrini",
    "Davide Ferri",
];

/// What every n-th letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Alternative,
    WithPhotograph,
}

/// Letters, one after the other; the same seed gives the same letters.
#[derive(Debug)]
pub struct Letters {
    random: fastrand::Rng,
    next: usize,
    /// In every address and id, so that two mailboxes have no letter in common.
    mailbox: &'static str,
    /// No replies and no automatic mail: each letter opens a case.
    alone: bool,
}

impl Letters {
    /// Letters of a mailbox.
    pub fn of(mailbox: &'static str, seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), next: 0, mailbox, alone: false }
    }

    /// The same, but each of them opens a case: no replies, no automatic mail.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// One with a photograph (or a scan) of so many octets as it is encoded.
    pub fn large(&mut self, octets: usize) -> Vec<u8> {
        self.letter(Shape::WithPhotograph, octets)
    }

    fn letter(&mut self, shape: Shape, photograph: usize) -> Vec<u8> {
        let (n, mailbox) = (self.next, self.mailbox);
        self.next += 1;
        let (subject, sentences) = SUBJECTS[self.random.usize(..SUBJECTS.len())];
        let name = NAMES[self.random.usize(..NAMES.len())];
        let reply = n > 100 && self.random.usize(..12) == 0 && !self.alone;
        let to = n - if reply { self.random.usize(1..100) } else { 0 };
        let citizen = if reply { to } else { n };
        let mut head = String::with_capacity(photograph + 16_000);
        self.head(&mut head, n, name, citizen);
        if reply {
            let _ = write!(head, "Subject: Re: {subject}\r\nIn-Reply-To: <{to}@{mailbox}.example.it>\r\n");
            let _ = write!(head, "References: <{to}@{mailbox}.example.it>\r\n");
        } else {
            let _ = write!(head, "Subject: {subject}\r\n");
        }
        if self.random.usize(..50) == 0 && !self.alone {
            head.push_str("Auto-Submitted: auto-replied\r\n");
        }
        let text = self.text(sentences, name);
        match shape {
            Shape::Plain => {
                head.push_str(
                    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                );
                head.push_str(&text);
            }
            Shape::Alternative => self.alternative(&mut head, &text, n),
            Shape::WithPhotograph => {
                let _ = write!(
                    head,
                    "Content-Type: multipart/mixed; boundary=\"fuori{n}\"\r\n\r\n--fuori{n}\r\n"
                );
                self.alternative(&mut head, &text, n);
                let _ = write!(
                    head,
                    "\r\n--fuori{n}\r\nContent-Type: image/jpeg; name=\"IMG_{n}.jpg\"\r\nContent-Transfer-Encoding: base64\r\n\
                     Content-Disposition: attachment; filename=\"IMG_{n}.jpg\"\r\n\r\n"
                );
                // Letters and digits are base64, too, and do not shrink, just as photographs do not.
                let first = head.len();
                while head.len() - first < photograph {
                    head.extend((0..76).map(|_| self.random.alphanumeric()));
                    head.push_str("\r\n");
                }
                let _ = write!(head, "--fuori{n}--\r\n");
            }
        }
        head.into_bytes()
    }

    /// What servers and programs put before a letter: more than most citizens write.
    fn head(&mut self, out: &mut String, n: usize, name: &str, citizen: usize) {
        let mailbox = self.mailbox;
        for hop in 0..4 {
            let _ = write!(
                out,
                "Received: from mx{hop}.fornitore.example.it (mx{hop}.fornitore.example.it [192.0.2.{hop}])\r\n\tby \
                 posta.comune.gubbio.pg.it (Postfix) with ESMTPS id {:016x}\r\n\tfor <urp@comune.gubbio.pg.it>; Mon, 23 Nov \
                 2026 08:00:0{hop} +0100 (CET)\r\n",
                self.random.u64(..)
            );
        }
        out.push_str(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.it; s=20260101;\r\n\tbh=",
        );
        for _ in 0..8 {
            out.extend((0..60).map(|_| self.random.alphanumeric()));
            out.push_str("\r\n\t ");
        }
        let _ = write!(
            out,
            "\r\nFrom: {name} <cittadino{citizen}@{mailbox}.example.it>\r\nTo: urp@comune.gubbio.pg.it\r\n\
             Message-ID: <{n}@{mailbox}.example.it>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\nMIME-Version: 1.0\r\n\
             X-Mailer: Posta 16.0\r\n"
        );
    }

    fn text(&mut self, sentences: &[&str], name: &str) -> String {
        let mut text = String::from("Buongiorno,\r\n\r\n");
        for _ in 0..self.random.usize(1..4) {
            for sentence in sentences {
                text.push_str(sentence);
                text.push_str(if self.random.bool() { "\r\n" } else { " " });
                for _ in 0..self.random.usize(..3) {
                    text.push_str(AROUND[self.random.usize(..AROUND.len())]);
                    text.push(' ');
                }
            }
            text.push_str("\r\n\r\n");
        }
        let _ = write!(
            text,
            "Cordiali saluti\r\n{name}\r\n\r\n-- \r\n{name}\r\nvia Roma {}\r\n",
            self.random.u8(1..)
        );
        text
    }

    fn alternative(&mut self, out: &mut String, text: &str, n: usize) {
        let _ = write!(
            out,
            "Content-Type: multipart/alternative; boundary=\"dentro{n}\"\r\n\r\n--dentro{n}\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n--dentro{n}\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><head><style>\r\n"
        );
        for i in 0..self.random.usize(8..40) {
            let _ = write!(
                out,
                "p.Mso{i}, li.Mso{i}, div.Mso{i} {{margin:0cm; font-size:1{}.0pt; font-family:\"Calibri\",sans-serif;}}\r\n",
                i % 10
            );
        }
        out.push_str("</style></head><body lang=\"IT\">\r\n");
        for line in text.split("\r\n") {
            let _ = write!(
                out,
                "<p class=\"MsoNormal\" style=\"margin:0cm;font-size:11pt\"><span style=\"color:#1F1F1F\">{line}</span></p>\r\n"
            );
        }
        let _ = write!(out, "</body></html>\r\n--dentro{n}--\r\n");
    }
}

impl Iterator for Letters {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let shape = match self.next % 10 {
            0 => Shape::WithPhotograph,
            1..=3 => Shape::Plain,
            _ => Shape::Alternative,
        };
        let photograph = self.random.usize(60_000..180_000);
        Some(self.letter(shape, photograph))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_kilobytes_on_average_and_one_in_ten_with_a_photograph() {
        let letters: Vec<Vec<u8>> = Letters::of("prova", 1).take(2_000).collect();
        let average = letters.iter().map(Vec::len).sum::<usize>() / letters.len();
        assert!((18_000..22_000).contains(&average), "{average}");
        let has = |letter: &Vec<u8>| letter.windows(10).any(|w| w == b"image/jpeg");
        assert_eq!(letters.iter().filter(|l| has(l)).count(), 200);
        let again: Vec<Vec<u8>> = Letters::of("prova", 1).take(5).collect();
        assert_eq!(again, letters[..5]);
    }
}
