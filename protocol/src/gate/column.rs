//! Reads the columns of a change without building anything: counts, and nothing else, so that a
//! hundred bytes that stand for a million operations cost a hundred steps.

use crate::gate::Rule;

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Rule> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > self.0.len() {
            return Err(Rule::Lengths);
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes with their length before them.
    pub(crate) fn section(&mut self) -> Result<Self, Rule> {
        let length = self.unsigned()?;
        self.take(length).map(Cursor)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Rule> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned LEB128 number in its shortest form.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Rule> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(Rule::Lengths);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(Rule::Lengths)
                } else {
                    Ok(value)
                };
            }
            shift += 7;
        }
    }

    /// A signed LEB128 number in its shortest form.
    pub(crate) fn signed(&mut self) -> Result<i64, Rule> {
        let mut value = 0_i64;
        let mut shift = 0;
        let mut before = 0_u8;
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(Rule::Lengths);
            }
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let padded =
                    (byte == 0 && before & 0x40 == 0) || (byte == 0x7f && before & 0x40 > 0);
                if shift > 7 && padded {
                    return Err(Rule::Lengths);
                }
                if shift < 64 && byte & 0x40 > 0 {
                    value |= -1 << shift;
                }
                return Ok(value);
            }
            before = byte;
        }
    }
}

/// What the values of a run-length column are.
pub(crate) trait Value<'a>: Copy {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Rule>;
}

impl Value<'_> for u64 {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Rule> {
        cursor.unsigned()
    }
}

impl Value<'_> for i64 {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Rule> {
        cursor.signed()
    }
}

impl<'a> Value<'a> for &'a str {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Rule> {
        let length = cursor.unsigned()?;
        std::str::from_utf8(cursor.take(length)?).map_err(|_not_text| Rule::Columns)
    }
}

/// Calls `each` with every run of a column (`None`: empty cells) and gives the number of cells.
/// Work is bounded by the bytes, not by the cells.
///
/// # Errors
/// More than `max` cells, a run of no cells, or what `each` finds.
pub(crate) fn runs<'a, T: Value<'a>>(
    column: &'a [u8],
    max: u64,
    mut each: impl FnMut(u64, Option<T>) -> Result<(), Rule>,
) -> Result<u64, Rule> {
    let mut cursor = Cursor(column);
    let mut cells = 0_u64;
    while !cursor.is_done() {
        let count = cursor.signed()?;
        let length = if count == 0 {
            cursor.unsigned()?
        } else {
            count.unsigned_abs()
        };
        cells = cells.saturating_add(length);
        if cells > max {
            return Err(Rule::TooManyOperations);
        }
        match count {
            0 if length == 0 => return Err(Rule::Columns),
            0 => each(length, None)?,
            1.. => each(length, Some(T::read(&mut cursor)?))?,
            _ => {
                for _cell in 0..length {
                    each(1, Some(T::read(&mut cursor)?))?;
                }
            }
        }
    }
    Ok(cells)
}

/// Number of cells of a boolean column that must be false throughout.
pub(crate) fn all_false(column: &[u8]) -> Result<u64, Rule> {
    let mut cursor = Cursor(column);
    if cursor.is_done() {
        return Ok(0);
    }
    let cells = cursor.unsigned()?;
    if cursor.is_done() {
        Ok(cells)
    } else {
        Err(Rule::Columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_shortest_form_alone() {
        assert_eq!(Cursor(&[0x80, 0x01]).unsigned(), Ok(128));
        assert_eq!(Cursor(&[0x80, 0x00]).unsigned(), Err(Rule::Lengths));
        assert_eq!(Cursor(&[0xff; 11]).unsigned(), Err(Rule::Lengths));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(Cursor(&most).unsigned(), Ok(u64::MAX));
        assert_eq!(Cursor(&[0x7f]).signed(), Ok(-1));
        assert_eq!(Cursor(&[0x80, 0x40]).signed(), Ok(-8192));
        assert_eq!(Cursor(&[0xff, 0x7f]).signed(), Err(Rule::Lengths));
        assert_eq!(Cursor(&[0xff; 11]).signed(), Err(Rule::Lengths));
        assert_eq!(Cursor(&[0x80]).signed(), Err(Rule::Lengths));
    }

    #[test]
    fn a_run_of_a_million_cells_is_refused_by_its_count() {
        let column = [0xc0, 0x84, 0x3d, 0x01];
        assert_eq!(
            runs::<u64>(&column, 5_000, |_, _| Ok(())),
            Err(Rule::TooManyOperations)
        );
        let short = [3, 1, 0x7e, 4, 5, 0, 2];
        let mut seen = Vec::new();
        let cells = runs::<u64>(&short, 5_000, |n, v| {
            seen.push((n, v));
            Ok(())
        });
        assert_eq!(cells, Ok(7));
        assert_eq!(seen, [(3, Some(1)), (1, Some(4)), (1, Some(5)), (2, None)]);
    }
}
