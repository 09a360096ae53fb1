//! Quantities with their units written out.
//!
//! In files a quantity is text with its unit (`8GiB`, `30s`, `20%`, `"0644"`); in plans, state and JSON output it is
//! a plain number of the base unit named at each type.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// Why a text is not a quantity: what was expected, with an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct UnitError {
    /// The text as it stood in the file.
    pub text: String,
    /// What should stand there, with an example.
    pub expected: &'static str,
}

/// An amount of memory or storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// An amount of money, in millionths of the currency unit. Prices of machines are per hour, budgets per month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

/// A share, in hundredths of a percent: 20 % is 2000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(pub u32);

/// A span of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeSpan(pub u64);

/// Permission bits of a file, at most 0o7777; written in octal as text, `"0644"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileMode(pub u32);

const BINARY: [(&str, u64); 5] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("PiB", 1 << 50)];
const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Hours in a month, as clouds count them when they quote a monthly price: 365 × 24 / 12.
pub const HOURS_PER_MONTH: i64 = 730;

impl Bytes {
    /// `n` GiB.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// `n` MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// How many in a second, as in `50MiB/s`.
    pub fn parse_rate(text: &str) -> Result<Self, UnitError> {
        let error =
            || UnitError { text: text.to_owned(), expected: "a rate; write a size per second, as in `50MiB/s`" };
        let size = text.strip_suffix("/s").and_then(|size| size.trim_end().parse().ok());
        size.filter(|size: &Self| size.0 > 0).ok_or_else(error)
    }

    /// The form that inventory files use, `8GiB`: the largest unit that says it without a fraction.
    pub fn to_file(self) -> String {
        let fits = BINARY.iter().rev().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match fits {
            Some((name, factor)) => format!("{}{name}", self.0 / factor),
            None => self.to_string().replace(' ', ""),
        }
    }
}

/// Splits `12.5GiB` into the number in thousandths and the unit.
fn split(text: &str) -> Option<(u64, &str)> {
    split_at(text, 3)
}

/// The number in units of the last of so many decimals, and what follows it.
fn split_at(text: &str, decimals: u32) -> Option<(u64, &str)> {
    let most = decimals as usize;
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > most || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let parts = if fraction.is_empty() { 0 } else { format!("{fraction:0<most$}").parse::<u64>().ok()? };
    Some((whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(decimals))?.checked_add(parts)?, unit))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (thousandths, unit) = split(text)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    u64::try_from(u128::from(thousandths) * u128::from(factor) / 1000).ok()
}

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            text: text.to_owned(),
            expected: "a size; write a number and KiB, MiB, GiB, TiB or PiB, as in `8GiB`",
        };
        scaled(text, &BINARY).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BINARY.iter().rev().find(|(_, factor)| self.0 >= *factor);
        let Some((name, factor)) = unit else { return f.pad(&format!("{} B", self.0)) };
        if self.0.is_multiple_of(*factor) {
            f.pad(&format!("{} {name}", self.0 / factor))
        } else {
            f.pad(&format!("{:.1} {name}", self.0 as f64 / *factor as f64))
        }
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            text: text.to_owned(),
            expected: "a time span; write a number and ms, s, m, h or d, as in `30s`",
        };
        scaled(text, &SPANS).map(Self).ok_or_else(error)
    }
}

impl TimeSpan {
    /// `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n * 1000)
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = SPANS
            .iter()
            .rev()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&SPANS[0]);
        f.pad(&format!("{}{name}", self.0 / factor))
    }
}

impl FromStr for Percent {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            text: text.to_owned(),
            expected: "a share; write a percentage from 0% to 100%, as in `20%`",
        };
        let (thousandths, unit) = split(text).ok_or_else(error)?;
        if unit != "%" || thousandths > 100_000 || thousandths % 10 != 0 {
            return Err(error());
        }
        Ok(Self((thousandths / 10) as u32))
    }
}

impl Percent {
    /// The share of `count`, rounded down, but at least one when `count` is not zero: a brake never makes all progress impossible.
    pub fn at_least_one_of(self, count: usize) -> usize {
        (count as u64 * u64::from(self.0) / 10_000).max(u64::from(count > 0)) as usize
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match hundredths {
            0 => f.pad(&format!("{whole}%")),
            _ => f
                .pad(format!("{whole}.{hundredths:02}").trim_end_matches('0').to_owned().as_str())
                .and_then(|()| f.write_str("%")),
        }
    }
}

impl FromStr for FileMode {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            text: text.to_owned(),
            expected: "a file mode; write three or four octal digits in quotes, as in \"0644\"",
        };
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !octal {
            return Err(error());
        }
        u32::from_str_radix(text, 8).map(Self).map_err(|_| error())
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04o}", self.0))
    }
}

impl Money {
    /// No money at all.
    pub const ZERO: Money = Money(0);

    /// `units` whole units of the currency.
    pub const fn units(units: i64) -> Self {
        Self(units * 1_000_000)
    }

    /// A price per hour as a price per month of [`HOURS_PER_MONTH`] hours.
    pub const fn per_month(self) -> Self {
        Self(self.0 * HOURS_PER_MONTH)
    }

    /// Reads a monthly budget: `9000/month`, `12.50/month`.
    pub fn parse_monthly(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { text: text.to_owned(), expected: "an amount per month, as in `9000/month`" };
        let (thousandths, unit) = split(text).ok_or_else(error)?;
        if unit != "/month" {
            return Err(error());
        }
        i64::try_from(thousandths).ok().and_then(|t| t.checked_mul(1000)).map(Self).ok_or_else(error)
    }

    /// Reads an hourly price, to a millionth: `0.05/hour`, `0.0002/hour`.
    pub fn parse_hourly(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { text: text.to_owned(), expected: "an amount per hour, as in `0.05/hour`" };
        let (millionths, unit) = split_at(text, 6).ok_or_else(error)?;
        if unit != "/hour" {
            return Err(error());
        }
        i64::try_from(millionths).map(Self).map_err(|_| error())
    }
}

impl std::ops::Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(iter: I) -> Money {
        iter.fold(Money::ZERO, |a, b| a + b)
    }
}

impl fmt::Display for Money {
    /// Two decimals, rounded half away from zero: `€ 61.00`, `-€ 0.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = (self.0.unsigned_abs() + 5_000) / 10_000;
        let sign = if self.0 < 0 && cents > 0 { "-" } else { "" };
        f.pad(&format!("{sign}€ {}.{:02}", cents / 100, cents % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip_and_refuse_bare_numbers() {
        for (text, bytes) in
            [("8GiB", 8 << 30), ("512MiB", 512 << 20), ("1.5GiB", 3 << 29), ("2TiB", 2 << 40), ("200 GiB", 200 << 30)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for bad in ["8", "8GB", "GiB", "-1GiB", "1.GiB", "1.2345GiB", "99999999PiB", ""] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
        assert_eq!(Bytes::gib(8).to_string(), "8 GiB");
        assert_eq!(Bytes::gib(8).to_file().parse(), Ok(Bytes::gib(8)));
    }

    #[test]
    fn spans_shares_modes_and_money() {
        assert_eq!("90m".parse(), Ok(TimeSpan(5_400_000)));
        assert_eq!(TimeSpan(5_400_000).to_string(), "90m");
        assert!("90".parse::<TimeSpan>().is_err());
        assert_eq!("99.9%".parse(), Ok(Percent(9990)));
        assert_eq!(Percent(9990).to_string(), "99.9%");
        assert!("101%".parse::<Percent>().is_err());
        assert_eq!("0644".parse(), Ok(FileMode(0o644)));
        assert!("0888".parse::<FileMode>().is_err());
        assert_eq!(Money::parse_monthly("9000/month"), Ok(Money::units(9000)));
        assert_eq!(Money::parse_hourly("0.0002/hour"), Ok(Money(200)));
        assert!(Money::parse_hourly("0.0000002/hour").is_err());
        assert_eq!(Money::units(61).to_string(), "€ 61.00");
        assert_eq!(Money(-500_000).to_string(), "-€ 0.50");
    }

    #[test]
    fn a_brake_lets_one_through() {
        assert_eq!("10%".parse::<Percent>().map(|p| p.at_least_one_of(5)), Ok(1));
        assert_eq!("10%".parse::<Percent>().map(|p| p.at_least_one_of(0)), Ok(0));
        assert_eq!("20%".parse::<Percent>().map(|p| p.at_least_one_of(50)), Ok(10));
    }
}
