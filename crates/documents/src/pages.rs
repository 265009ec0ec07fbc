//! Collects the text of a document, page by page, within its limits.
//!
//! Invariant: at most [`Limits::text`] octets and [`Limits::pages`] pages are kept; what goes beyond sets `truncated`. Runs of
//! blanks are one, controls are none.

use crate::{Limits, Read};

#[derive(Debug)]
pub(crate) struct Pages {
    done: Vec<String>,
    page: String,
    left: usize,
    page_limit: usize,
    truncated: bool,
}

impl Pages {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            done: Vec::new(),
            page: String::new(),
            left: limits.text,
            page_limit: limits.pages,
            truncated: false,
        }
    }

    /// Nothing more will be kept.
    pub(crate) fn full(&self) -> bool {
        self.truncated
    }

    pub(crate) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.char(c);
        }
    }

    pub(crate) fn char(&mut self, c: char) {
        match c {
            '\n' | '\u{2028}' | '\u{2029}' => self.line(),
            '\u{C}' => self.page_break(),
            // Invisible: soft hyphen, zero-width characters, byte order mark.
            '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => {}
            c if c.is_whitespace() => {
                if !self.page.is_empty() && !self.page.ends_with([' ', '\n']) {
                    self.push(' ');
                }
            }
            c if c.is_control() => {}
            c => self.push(c),
        }
    }

    /// Ends a line; an empty one stays, once.
    pub(crate) fn line(&mut self) {
        if self.page.ends_with(' ') {
            self.page.pop();
        }
        if !self.page.is_empty() && !self.page.ends_with("\n\n") {
            self.push('\n');
        }
    }

    /// Ends a page where the writer's program broke it; without words on it yet, it is the same page.
    pub(crate) fn page_break(&mut self) {
        if !self.page.trim().is_empty() {
            self.end_page();
        }
    }

    /// Ends a page, which may be empty.
    pub(crate) fn end_page(&mut self) {
        let page = std::mem::take(&mut self.page);
        if self.done.len() < self.page_limit {
            self.done.push(page.trim_end().to_owned());
        } else if !page.trim().is_empty() {
            self.truncated = true;
        }
    }

    /// Says that there is more.
    pub(crate) fn cut(&mut self) {
        self.truncated = true;
    }

    fn push(&mut self, c: char) {
        if self.done.len() >= self.page_limit || c.len_utf8() > self.left {
            self.truncated = true;
            return;
        }
        self.left -= c.len_utf8();
        self.page.push(c);
    }

    pub(crate) fn finish(mut self, pictures: bool) -> Read {
        self.page_break();
        Read { pages: self.done, truncated: self.truncated, pictures }
    }
}
