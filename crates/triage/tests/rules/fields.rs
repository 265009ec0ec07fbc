//! Conditions on channel, folder, sender, recipients and attachments.

use smista_domain::{Attachment, Digest, Message};
use smista_triage::{Context, Rules, decide};

use crate::support::{context, message, rule};

fn holds(rules: &Rules, message: &Message) -> bool {
    !decide(message, &context(), rules).votes.is_empty()
}

#[test]
fn a_channel_is_a_name_or_a_kind() {
    let on = |rules: &Rules, channel: &str| {
        let context = Context::new(channel.parse().expect("valid"));
        !decide(&message("buca"), &context, rules).votes.is_empty()
    };
    let named = rule("channel = [\"email/urp\"]\nany = [\"buca\"]");
    assert!(on(&named, "email/urp") && !on(&named, "email/pec") && !on(&named, "phone/urp"));
    let kind = rule(r#"channel = "phone""#);
    assert!(on(&kind, "phone/centralino") && !on(&kind, "email/urp"));
}

#[test]
fn a_folder_is_compared_without_case() {
    let rules = rule(r#"folder = ["INBOX/Tributi"]"#);
    let mut letter = message("");
    assert!(!holds(&rules, &letter));
    letter.folder = "Inbox/TRIBUTI".to_owned();
    assert!(holds(&rules, &letter));
}

#[test]
fn a_sender_is_an_address_a_domain_or_a_number() {
    let rules = rule(r#"sender = ["@anas.it", "Info@enel.it", "+390759237000"]"#);
    for (address, expected) in [
        ("info@anas.it", true),
        ("x@pec.anas.it", true),
        ("x@banas.it", false),
        ("info@enel.it", true),
        ("altri@enel.it", false),
        ("+390759237000", true),
    ] {
        let mut letter = message("");
        letter.sender.address = Some(address.to_owned());
        assert_eq!(holds(&rules, &letter), expected, "{address}");
    }
    assert!(!holds(&rules, &message("@anas.it")));
}

#[test]
fn one_of_the_recipients_is_enough() {
    let rules = rule(r#"recipients = ["tributi@comune.example.it"]"#);
    let mut letter = message("");
    letter.recipients = vec!["urp@comune.example.it".to_owned(), "tributi@comune.example.it".to_owned()];
    assert!(holds(&rules, &letter));
    letter.recipients.pop();
    assert!(!holds(&rules, &letter));
}

#[test]
fn an_attachment_by_name_or_type() {
    let with = |name: &str, media_type: &str| {
        let mut letter = message("");
        let sha256 = Digest([0; 32]);
        let (name, media_type) = (name.to_owned(), media_type.to_owned());
        letter.attachments.push(Attachment {
            name,
            media_type,
            size: 1,
            sha256,
            part: vec![1],
            inline: false,
        });
        letter
    };
    let rules = rule(r#"attachment = ["*.P7M", "image/*", "planimetria"]"#);
    assert!(holds(&rules, &with("Domanda.pdf.p7m", "application/pkcs7-mime")));
    assert!(holds(&rules, &with("foto", "image/jpeg")));
    assert!(holds(&rules, &with("La Planimetria 2.dwg", "application/x")));
    assert!(!holds(&rules, &with("modulo.pdf", "application/pdf")));
    assert!(!holds(&rules, &message("")));
}

#[test]
fn different_conditions_must_all_hold_and_show_as_evidence() {
    let rules = rule("any = [\"buca\"]\nsender = [\"@anas.it\"]\nchannel = [\"email\"]");
    let mut letter = message("una buca");
    assert!(!holds(&rules, &letter));
    letter.sender.address = Some("info@anas.it".to_owned());
    let decision = decide(&letter, &context(), &rules);
    let evidence: Vec<_> =
        decision.votes[0].evidence.iter().map(|e| (e.pattern.as_str(), e.words.as_str())).collect();
    assert_eq!(
        evidence,
        [("buca", "buca"), ("channel = \"email\"", "email/urp"), ("sender = \"@anas.it\"", "info@anas.it")]
    );
}
