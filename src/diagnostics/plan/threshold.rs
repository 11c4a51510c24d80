//! Whether a result is beyond a threshold, and for how long. No I/O, no clock.

/// How a result is held against the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    Above,
    Below,
    Is,
    IsNot,
}

/// What the ACS has said of a threshold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Threshold {
    /// Of a result, or `DiagnosticsState`.
    pub name: String,
    condition: Condition,
    limit: String,
    /// Of Above and Below; the limit itself where the ACS says nothing.
    clear: String,
    /// So many runs in a row.
    consecutive: u32,
}

impl Threshold {
    /// As the tree has it.
    ///
    /// # Errors
    /// Which parameter does not fit, and why.
    pub fn new(
        name: &str,
        condition: &str,
        limit: &str,
        clear: &str,
        consecutive: u32,
    ) -> Result<Threshold, (&'static str, String)> {
        let condition = match condition {
            "Above" => Condition::Above,
            "Below" => Condition::Below,
            "Is" => Condition::Is,
            _ => Condition::IsNot,
        };
        let clear = if clear.is_empty() { limit } else { clear };
        if matches!(condition, Condition::Above | Condition::Below) {
            let beyond = number(limit).ok_or(("Limit", format!("{limit:.32} is no number")))?;
            let back = number(clear).ok_or(("Clear", format!("{clear:.32} is no number")))?;
            let is_wrong = if condition == Condition::Above { back > beyond } else { back < beyond };
            if is_wrong {
                return Err(("Clear", format!("{clear} is beyond the limit itself")));
            }
        }
        let (name, limit, clear) = (name.to_owned(), limit.to_owned(), clear.to_owned());
        Ok(Threshold { name, condition, limit, clear, consecutive: consecutive.max(1) })
    }

    /// Whether a value is beyond the limit, and whether it is behind clear. A value that is no number says nothing.
    fn side(&self, value: &str) -> Option<(bool, bool)> {
        let numbers = || Some((number(value)?, number(&self.limit)?, number(&self.clear)?));
        Some(match self.condition {
            Condition::Is => (value == self.limit, value != self.limit),
            Condition::IsNot => (value != self.limit, value == self.limit),
            Condition::Above => numbers().map(|(value, limit, clear)| (value > limit, value <= clear))?,
            Condition::Below => numbers().map(|(value, limit, clear)| (value < limit, value >= clear))?,
        })
    }
}

/// What became of a threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// So many runs in a row were beyond.
    beyond: u32,
    /// What the ACS is told.
    pub crossed: bool,
}

impl Tally {
    /// Nothing is counted yet.
    pub fn new(crossed: bool) -> Tally {
        Tally { beyond: 0, crossed }
    }

    /// A run has ended with this value, if with any. True when `crossed` changed.
    pub fn judge(&mut self, threshold: &Threshold, value: Option<&str>) -> bool {
        let Some((is_beyond, is_back)) = value.and_then(|value| threshold.side(value)) else { return false };
        let before = self.crossed;
        self.beyond = if is_beyond { self.beyond.saturating_add(1) } else { 0 };
        self.crossed = !is_back && (self.crossed || self.beyond >= threshold.consecutive);
        self.crossed != before
    }
}

/// A decimal number; what floating point knows besides is none.
fn number(text: &str) -> Option<f64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    text.parse().ok().filter(|_| is_number)
}
