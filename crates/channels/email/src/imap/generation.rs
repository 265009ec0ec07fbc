//! Where fetching stands in a folder, and from where it goes on: first start, restart, and a UIDVALIDITY that changed.
//!
//! Four cursors are kept per folder (two more by `vanished`), since each must survive a crash:
//! - `INBOX`: (UIDVALIDITY, the highest UID up to which everything is committed);
//! - `*scan/INBOX`: (UIDVALIDITY, UID): letters up to this UID were there already when the generation was met; they are
//!   *recognised* by their bytes and subject to the limit below. Letters above it are new, whatever their bytes and dates;
//! - `*reissued/INBOX`: (UIDVALIDITY, how often its UIDs were given out anew, by a server restored from a backup, say). Each time
//!   is a generation of its own, as if UIDVALIDITY had changed; the number stands in the upper half of the generation;
//! - `*since/INBOX`: with `start = "new"` or a date, the limit: what the server received earlier is not taken in by a scan.
//!
//! Why the limit outlives the first start: with `start = "new"` the old letters have no rows. When UIDVALIDITY changes later,
//! nothing would recognise them, and eight years of mail would become cases. So the instant of the first start is recorded,
//! and a scan passes over what the server received before it (INTERNALDATE, with [`MARGIN`] for differing clocks). A letter whose
//! INTERNALDATE is missing is taken in: rather once too often than never.
//!
//! Order of writing: the limit and the count of generations before the scan, the scan before the cursor, so that a crash in between repeats a step and
//! never skips one.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use smista_domain::{ChannelName, Cursor, Intake, IntakeError, Pulse};

use super::{
    encode::{internal_date, search_date},
    session::{Opened, Session},
    trouble::Trouble,
};
use crate::config::Start;

/// How far our clock and the server's may differ.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// What a scan passes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Received before this day, in the server's own zone.
    Day(Date),
    /// Received before this instant.
    Instant(Timestamp),
}

impl Limit {
    /// True if the letter is older. What has no readable date is not.
    pub(crate) fn excludes(self, date: Option<&str>) -> bool {
        match (self, date.and_then(internal_date)) {
            (_, None) => false,
            (Self::Day(first), Some((day, _))) => day < first,
            (Self::Instant(first), Some((_, at))) => at < first,
        }
    }

    /// The SEARCH key that surely finds everything that is not excluded: a day earlier, since zones differ.
    pub(crate) fn search_key(self) -> String {
        let day = match self {
            Self::Day(day) => day,
            Self::Instant(at) => at.to_zoned(TimeZone::UTC).date(),
        };
        format!("SINCE {}", search_date(day.yesterday().unwrap_or(day)))
    }

    fn to_cursor(self, scope: String) -> Cursor {
        let (generation, position) = match self {
            Self::Day(day) => {
                (1, i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day()))
            }
            Self::Instant(at) => (2, at.as_second()),
        };
        Cursor { scope, generation, position: position.max(0).unsigned_abs() }
    }

    fn from_cursor(cursor: &Cursor) -> Option<Self> {
        let n = i64::try_from(cursor.position).ok()?;
        match cursor.generation {
            1 => {
                let part = |value: i64| i8::try_from(value).ok();
                let year = i16::try_from(n / 10_000).ok()?;
                Date::new(year, part(n / 100 % 100)?, part(n % 100)?).ok().map(Self::Day)
            }
            2 => Timestamp::from_second(n).ok().map(Self::Instant),
            _ => None,
        }
    }
}

/// From where a folder is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What identities begin with: UIDVALIDITY, and in the upper half how often its UIDs were given out anew.
    pub(crate) generation: u64,
    /// Everything up to here is committed.
    pub(crate) position: u32,
    /// Letters up to here belong to a scan.
    pub(crate) scan: u32,
    /// What the scan passes over.
    pub(crate) limit: Option<Limit>,
    /// UIDNEXT as it was told twice (`Folder::next_told`), until what is listed has been compared with it.
    pub(crate) told: Option<u32>,
}

impl Standing {
    /// UIDVALIDITY, as the server tells it.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is it")]
    pub(crate) fn validity(&self) -> u32 {
        self.generation as u32
    }
}

/// Finds out, and records what must be recorded, before anything is fetched.
pub(crate) async fn standing<I: Intake>(
    intake: &I,
    channel: &ChannelName,
    folder: &str,
    start: Start,
    now: Timestamp,
    opened: &Opened,
    session: &mut Session,
) -> Result<Standing, Trouble> {
    let validity = opened.validity.ok_or(Trouble::NoValidity)?;
    let again = intake.cursor(channel, &reissued_scope(folder)).await?;
    let again = again.filter(|c| c.generation == u64::from(validity)).map_or(0, |c| c.position);
    let generation = again << 32 | u64::from(validity);
    let (scan_scope, limit_scope) = (format!("*scan/{folder}"), format!("*since/{folder}"));
    let limit = intake.cursor(channel, &limit_scope).await?.as_ref().and_then(Limit::from_cursor);
    let main = intake.cursor(channel, folder).await?;
    if let Some(cursor) = main.as_ref().filter(|c| c.generation == generation) {
        let scan = intake.cursor(channel, &scan_scope).await?.filter(|c| c.generation == generation);
        return Ok(Standing {
            generation,
            position: uid(cursor.position),
            scan: scan.map_or(0, |c| uid(c.position)),
            limit,
            told: None,
        });
    }
    let write = async |scope: &str, position: u32| -> Result<(), IntakeError> {
        let cursor = Cursor { scope: scope.to_owned(), generation, position: u64::from(position) };
        intake.accept(Vec::new(), Some(cursor)).await.map(drop)
    };
    if main.is_some() {
        intake.pulse(Pulse::Warning {
            code: "uidvalidity-changed",
            text: format!(
                "the server renumbered folder {folder} (UIDVALIDITY is now {validity}): {} messages are looked at again and \
                 those already known are recognised by their bytes; nothing to do",
                opened.exists
            ),
        });
        return scan_all(intake, folder, generation, limit, opened, session).await;
    }
    match (start, limit) {
        (Start::All, _) => Ok(Standing { generation, position: 0, scan: 0, limit, told: None }),
        // the usual first start: what is there is not even looked at
        (Start::New, None) => {
            let limit = Limit::Instant(now.checked_sub(MARGIN).unwrap_or(now));
            let position = end(opened, session).await?;
            intake.accept(Vec::new(), Some(limit.to_cursor(limit_scope))).await?;
            write(folder, position).await?;
            Ok(Standing { generation, position, scan: 0, limit: Some(limit), told: None })
        }
        // a date; or a first start that was cut off after the limit had been recorded: what came since then counts
        (Start::New | Start::Since(_), _) => {
            let limit = match (start, limit) {
                (_, Some(limit)) => limit,
                (Start::Since(day), None) => Limit::Day(day),
                (_, None) => Limit::Instant(now),
            };
            let scan = end(opened, session).await?;
            intake.accept(Vec::new(), Some(limit.to_cursor(limit_scope))).await?;
            write(&scan_scope, scan).await?;
            write(folder, 0).await?;
            Ok(Standing { generation, position: 0, scan, limit: Some(limit), told: None })
        }
    }
}

/// The server gave UIDs out a second time under one UIDVALIDITY: as if UIDVALIDITY had changed.
pub(crate) async fn reissued<I: Intake>(
    intake: &I,
    channel: &ChannelName,
    folder: &str,
    before: &Standing,
    opened: &Opened,
    session: &mut Session,
) -> Result<Standing, Trouble> {
    intake.pulse(Pulse::Warning {
        code: "uids-reissued",
        text: format!(
            "the server gave numbers of folder {folder} out a second time (was it restored from a backup?): {} messages are looked \
             at again and those already known are recognised by their bytes; nothing to do",
            opened.exists
        ),
    });
    let again = (before.generation >> 32) + 1;
    let generation = again << 32 | u64::from(before.validity());
    tracing::warn!(channel.name = %channel, imap.reissued = again, "UIDs were given out a second time");
    // First: from now on the folder's cursor is one of another generation, whatever happens.
    let cursor =
        Cursor { scope: reissued_scope(folder), generation: u64::from(before.validity()), position: again };
    intake.accept(Vec::new(), Some(cursor)).await?;
    scan_all(intake, folder, generation, before.limit, opened, session).await
}

fn reissued_scope(folder: &str) -> String {
    format!("*reissued/{folder}")
}

/// Everything that is there now is looked at again under a new generation.
async fn scan_all<I: Intake>(
    intake: &I,
    folder: &str,
    generation: u64,
    limit: Option<Limit>,
    opened: &Opened,
    session: &mut Session,
) -> Result<Standing, Trouble> {
    let scan = end(opened, session).await?;
    for (scope, position) in [(format!("*scan/{folder}"), scan), (folder.to_owned(), 0)] {
        let cursor = Cursor { scope, generation, position: u64::from(position) };
        intake.accept(Vec::new(), Some(cursor)).await?;
    }
    Ok(Standing { generation, position: 0, scan, limit, told: None })
}

fn uid(position: u64) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The highest UID that is there now. UIDNEXT is not told by every server (Winmail).
pub(crate) async fn end(opened: &Opened, session: &mut Session) -> Result<u32, Trouble> {
    match opened.next {
        Some(next) => Ok(next.saturating_sub(1)),
        None if session.exists == Some(0) => Ok(0),
        None => Ok(session.find("1:*", "").await?.last().copied().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_as_cursors() {
        for limit in [
            Limit::Day(jiff::civil::date(2026, 11, 1)),
            Limit::Instant(Timestamp::from_second(1_790_000_000).expect("valid")),
        ] {
            assert_eq!(Limit::from_cursor(&limit.to_cursor("x".into())), Some(limit));
        }
        assert_eq!(Limit::from_cursor(&Cursor { scope: "x".into(), generation: 9, position: 1 }), None);
    }

    #[test]
    fn the_day_is_the_servers_and_what_has_no_date_stays() {
        let day = Limit::Day(jiff::civil::date(2026, 11, 1));
        assert!(day.excludes(Some("31-Oct-2026 23:59:59 +0100")));
        assert!(!day.excludes(Some(" 1-Nov-2026 00:00:00 +0200")));
        assert!(!day.excludes(None));
        assert!(!day.excludes(Some("yesterday")));
        assert_eq!(day.search_key(), "SINCE 31-Oct-2026");
    }
}
