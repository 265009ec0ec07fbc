//! From characters with their places on a page to lines of words.
//!
//! PDF has no words and no lines: a gap along the baseline wider than a fraction of the letters' size is a blank, a step across it a
//! new line. Measured along the direction in which the text runs, so that pages that lie on their side are read as well.

use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};

/// A blank is a quarter of the size in most fonts; letters of one word are nearer to each other than this.
const GAP: f64 = 0.15;
/// Superscripts are raised by a third.
const STEP: f64 = 0.5;
/// A paragraph is further from the last one than lines are from each other, whatever their spacing.
const PARAGRAPH: f64 = 1.4;

pub(super) struct Layout {
    text: String,
    most: usize,
    begins: bool,
    last: Option<Last>,
    /// The smallest step from line to line so far.
    spacing: f64,
}

/// Where the last character ended, and how it stood.
struct Last {
    x: f64,
    y: f64,
    size: f64,
}

impl Layout {
    /// Keeps at most so many octets.
    pub(super) fn new(most: usize) -> Self {
        Self { text: String::new(), most, begins: false, last: None, spacing: f64::INFINITY }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// What stands between the last character and one at this place.
    fn between(&mut self, x: f64, y: f64, along: (f64, f64), size: f64) -> &'static str {
        let Some(last) = &self.last else { return "" };
        let (dx, dy) = (x - last.x, y - last.y);
        let forward = dx * along.0 + dy * along.1;
        let across = dy * along.0 - dx * along.1;
        let size = size.max(last.size);
        if across.abs() > STEP * size {
            let paragraph = across.abs() > PARAGRAPH * self.spacing;
            self.spacing = self.spacing.min(across.abs());
            if paragraph { "\n\n" } else { "\n" }
        } else if forward > GAP * size || forward < -size {
            " "
        } else {
            ""
        }
    }
}

impl OutputDev for Layout {
    fn begin_page(
        &mut self,
        _: u32,
        _: &MediaBox,
        _: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }
    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        character: &str,
    ) -> Result<(), OutputError> {
        let stretch = place.m11.hypot(place.m12);
        let along = if stretch > 0.0 { (place.m11 / stretch, place.m12 / stretch) } else { (1.0, 0.0) };
        let size = (place.m21.hypot(place.m22) * font_size).abs();
        if std::mem::take(&mut self.begins) {
            let between = self.between(place.m31, place.m32, along, size);
            self.text.push_str(between);
        }
        if self.text.len() + character.len() > self.most {
            return Err(OutputError::FormatError(std::fmt::Error));
        }
        self.text.push_str(character);
        let advance = (width * font_size + spacing) * stretch;
        let last = Last { x: place.m31 + along.0 * advance, y: place.m32 + along.1 * advance, size };
        self.last = Some(last);
        Ok(())
    }
    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.begins = true;
        Ok(())
    }
    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}
