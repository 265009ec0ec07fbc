//! Errors in words.

use std::error::Error;

/// The error and what lies beneath, in one line; what is said already is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(beneath) = next {
        let said = beneath.to_string();
        if !line.contains(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        next = beneath.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<Said>>);

    #[test]
    fn causes_are_named_once_each() {
        let deep = Said("disk full", None);
        let error = Said("not committed: refused", Some(Box::new(Said("refused", Some(Box::new(deep))))));
        assert_eq!(chain(&error), "not committed: refused: disk full");
    }
}
