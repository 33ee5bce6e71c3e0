//! What must not become public: the scan every notice passes before it hangs anywhere, and how
//! personal values are masked where a part of them is shown.

use std::ops::Range;

use crate::text::{CitizenId, half_width, is_hidden};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// 身份证号, 18 or 15 digits.
    CitizenId,
    /// 手机号
    Mobile,
    /// 银行卡号
    BankCard,
}

impl FindingKind {
    /// The word on screens.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::CitizenId => "身份证号",
            Self::Mobile => "手机号",
            Self::BankCard => "银行卡号",
        }
    }
}

/// One place in a text that holds personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    /// Bytes of the text.
    pub at: Range<usize>,
    /// The number, masked, so that the writer can find it.
    pub masked: String,
}

impl Finding {
    /// For the writer: what it is, and enough of it to find it.
    pub fn zh(&self) -> String {
        format!("{} {}", self.kind.zh(), self.masked)
    }
}

/// Numbers in a text that identify a person: citizen ids with a right check (15 digits: a real
/// date), mobiles, bank cards with a right Luhn check; also written in full-width digits or cut
/// up by spaces, hyphens, dots or line ends. In the order of the text.
pub fn scan(text: &str) -> Vec<Finding> {
    let marks = marks(text);
    let mut found: Vec<Finding> = Vec::new();
    for run in marks.chunk_by(|_, next| next.joins) {
        citizen_ids(run, &mut found);
        for group in groups(run) {
            let apart = |f: &Finding| f.at.end <= group.at.start || group.at.end <= f.at.start;
            if found.iter().all(apart) {
                found.extend(group.finding());
            }
        }
    }
    found.sort_by_key(|f| f.at.start);
    found
}

/// `340***********1234`: the first three and the last four characters; all stars when so much
/// would show too much.
pub fn mask_id(id: &str) -> String {
    mask(id, 3, 4)
}

/// `138****5678`; a landline keeps its area code.
pub fn mask_phone(phone: &str) -> String {
    let area = phone.find('-').map_or(3, |hyphen| hyphen + 1);
    mask(phone, area, 4)
}

/// The last four digits of a card or account.
pub fn mask_account(account: &str) -> String {
    mask(account, 0, 4)
}

/// `张*`, whatever the length of the name: the length tells something too.
pub fn mask_name(name: &str) -> String {
    let mut chars = name.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(_)) => format!("{first}*"),
        (Some(_), None) => "*".to_owned(),
        (None, _) => String::new(),
    }
}

fn mask(text: &str, head: usize, tail: usize) -> String {
    let length = text.chars().count();
    let hide_all = length < head + tail + 3;
    let star = |(at, c): (usize, char)| {
        let shown = !hide_all && (at < head || at >= length - tail);
        if shown { c } else { '*' }
    };
    text.chars().enumerate().map(star).collect()
}

/// One digit, or an X that may end a citizen id.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// `0`–`9` or `X`.
    value: u8,
    start: usize,
    end: usize,
    /// Whether it belongs to the same number as the mark before it, perhaps after separators.
    joins: bool,
    /// Whether separators lie between it and the mark before it.
    gap: bool,
    /// Whether a letter touches it: then it is part of a code, not of a number by itself.
    lettered: bool,
}

/// Separators between two digits of one number.
const SEPARATORS_MAX: usize = 4;

fn marks(text: &str) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let (mut separators, mut other, mut letter) = (0, true, false);
    for (start, c) in text.char_indices() {
        if let Some(value) = value(c) {
            marks.push(Mark {
                value,
                start,
                end: start + c.len_utf8(),
                joins: !other && separators <= SEPARATORS_MAX,
                gap: separators > 0,
                lettered: letter,
            });
            (separators, other, letter) = (0, false, false);
        } else if is_hidden(c) && !c.is_control() {
            // What does not show does not part a number either.
        } else if is_separator(c) {
            separators += 1;
            letter = false;
        } else {
            letter = half_width(c).is_ascii_alphanumeric();
            if letter
                && separators == 0
                && let Some(last) = marks.last_mut()
            {
                last.lettered |= !other;
            }
            (separators, other) = (0, true);
        }
    }
    marks
}

/// The digit a character stands for, or X for what people type at the end of an id.
fn value(c: char) -> Option<u8> {
    match half_width(c) {
        digit @ '0'..='9' => u8::try_from(digit).ok(),
        'x' | 'X' | '×' | '\u{0425}' | '\u{0445}' | '\u{03a7}' => Some(b'X'),
        // Mathematical digits: bold, double-struck, sans-serif, monospace.
        math @ '\u{1d7ce}'..='\u{1d7ff}' => u8::try_from((u32::from(math) - 0x1d7ce) % 10)
            .ok()
            .map(|n| n + b'0'),
        _ => None,
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            half_width(c),
            '-' | '.' | '_' | '/' | '·' | '•' | ',' | '、' | '~' | '*'
        )
}

/// Every window of 18 marks that is a citizen id.
fn citizen_ids(run: &[Mark], found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(window) = run.get(from..from + 18) {
        if !is_inside_case_number(run, from)
            && let Some(id) = citizen_id(window)
        {
            found.push(id);
            from += 18;
        } else {
            from += 1;
        }
    }
}

fn citizen_id(marks: &[Mark]) -> Option<Finding> {
    let number: String = marks.iter().map(|m| char::from(m.value)).collect();
    let id = CitizenId::stored(&number).ok()?;
    Some(Finding {
        kind: FindingKind::CitizenId,
        at: marks.first()?.start..marks.last()?.end,
        masked: id.masked(),
    })
}

/// Printed case numbers carry dates from this year on.
const CASE_YEAR_MIN: u32 = 2024;

/// Whether a window is the middle of a case number: 26 digits without a gap that begin with a
/// division code and have the day of the case where a birth would be. One such window in eleven
/// has a right check by chance. What this lets through is the id of a small child inside a
/// longer number that happens to look so.
fn is_inside_case_number(run: &[Mark], from: usize) -> bool {
    let Some(start) = from.checked_sub(6) else {
        return false;
    };
    let Some(number) = run.get(start..start + 26) else {
        return false;
    };
    let apart = |m: Option<&Mark>| m.is_none_or(|m| m.gap || !m.joins);
    let unbroken = number[1..].iter().all(|m| !m.gap) && apart(run.get(start + 26));
    let digits = number.iter().all(|m| m.value != b'X');
    let year = number[12..16]
        .iter()
        .fold(0, |y, m| y * 10 + u32::from(m.value.wrapping_sub(b'0')));
    let division = (b'1'..=b'8').contains(&number[0].value);
    let begins = start == 0 || apart(number.first());
    digits && unbroken && begins && division && (CASE_YEAR_MIN..2100).contains(&year)
}

/// A number that stands by itself: digits, perhaps in a few groups.
struct Group {
    digits: String,
    /// Lengths of its groups.
    shape: Vec<usize>,
    at: Range<usize>,
}

/// Groups a number may be cut into.
const GROUPS_MAX: usize = 5;

/// Every way to take some neighbouring whole groups of digits of a run, longest first.
fn groups(run: &[Mark]) -> Vec<Group> {
    let parts: Vec<&[Mark]> = run.chunk_by(|_, next| !next.gap).collect();
    let mut all = Vec::new();
    for from in 0..parts.len() {
        for to in (from + 1..=parts.len().min(from + GROUPS_MAX)).rev() {
            let taken = &parts[from..to];
            let mut marks = taken.iter().copied().flatten();
            if marks.clone().any(|m| m.value == b'X' || m.lettered) {
                continue;
            }
            let digits: String = marks.clone().map(|m| char::from(m.value)).collect();
            let start = marks.next().map_or(0, |m| m.start);
            let end = taken.last().and_then(|p| p.last()).map_or(start, |m| m.end);
            if (11..=19).contains(&digits.len()) {
                all.push(Group {
                    digits,
                    shape: taken.iter().map(|p| p.len()).collect(),
                    at: start..end,
                });
            }
        }
    }
    all
}

impl Group {
    fn finding(&self) -> Option<Finding> {
        let (kind, masked) = if self.is_mobile() {
            let mobile = &self.digits[self.digits.len() - 11..];
            (FindingKind::Mobile, mask_phone(mobile))
        } else if self.is_old_id() {
            (FindingKind::CitizenId, mask_id(&self.digits))
        } else if self.is_card() {
            (FindingKind::BankCard, mask_account(&self.digits))
        } else {
            return None;
        };
        Some(Finding {
            kind,
            at: self.at.clone(),
            masked,
        })
    }

    fn is_mobile(&self) -> bool {
        let shape: &[usize] = match self.shape.as_slice() {
            [2, rest @ ..] if self.digits.starts_with("86") => rest,
            [4, rest @ ..] if self.digits.starts_with("0086") => rest,
            shape => shape,
        };
        let written = matches!(
            shape,
            [11..=15] | [3, 4, 4] | [3, 8] | [7, 4] | [4, 4, 3] | [5, 3, 3] | [3, 3, 5]
        );
        let number = ["86", "0086", "0", ""].into_iter().find_map(|prefix| {
            let rest = self.digits.strip_prefix(prefix)?;
            crate::text::is_mobile(rest).then_some(rest)
        });
        written && number.is_some()
    }

    /// Fifteen digits carry no check, so only a number that stands by itself counts.
    fn is_old_id(&self) -> bool {
        let written = matches!(self.shape.as_slice(), [15] | [6, 6, 3] | [6, 9]);
        written && CitizenId::stored(&self.digits).is_ok()
    }

    /// Amounts in a table, four digits each, must not look like a card: in groups only what
    /// begins like the cards of this country counts.
    fn is_card(&self) -> bool {
        let grouped = matches!(
            self.shape.as_slice(),
            [4, 4, 4, 4] | [4, 4, 4, 4, 1..=3] | [6, 10 | 12 | 13]
        );
        let issued = self.digits.starts_with("62");
        let plain = self.shape.len() == 1 && self.digits.starts_with(['3', '4', '5', '6', '9']);
        (16..=19).contains(&self.digits.len())
            && (plain || (grouped && issued))
            && luhn(&self.digits)
    }
}

/// Luhn's check (ISO/IEC 7812-1).
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, b)| {
            let digit = u32::from(b - b'0');
            let doubled = if at % 2 == 1 { digit * 2 } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests;
