// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reading commands.

use std::time::Duration;

use ivring::Deadline;

/// One line of input, taken apart: words without `=` in order, and the values of the others.
pub struct Command {
    words: Vec<String>,
    values: Vec<(String, String)>,
}

impl Command {
    pub fn new(line: &str) -> Self {
        let (mut words, mut values) = (Vec::new(), Vec::new());
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => values.push((key.to_owned(), value.to_owned())),
                None => words.push(word.to_owned()),
            }
        }
        Self { words, values }
    }

    /// The word at `index`; word 0 is the name of the command.
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// The word at `index` as a number, or 0.
    pub fn word_number(&self, index: usize) -> u32 {
        self.word(index).parse().unwrap_or(0)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let value = self.values.iter().find(|(name, _)| name == key);
        value.map(|(_, value)| value.as_str())
    }

    pub fn number(&self, key: &str, otherwise: u32) -> u32 {
        let value = self.get(key).and_then(|value| value.parse().ok());
        value.unwrap_or(otherwise)
    }

    /// `ms=0` does not wait, `ms=past` is a time that has passed, `ms=never` waits for ever.
    pub fn deadline(&self) -> Deadline {
        Self::deadline_of(self.get("ms").unwrap_or("0"))
    }

    /// The deadline for the reply to a request: `reply=` and a value like that of `ms=`.
    pub fn reply_deadline(&self) -> Deadline {
        Self::deadline_of(self.get("reply").unwrap_or("never"))
    }

    fn deadline_of(ms: &str) -> Deadline {
        match ms {
            "0" => Deadline::NOW,
            "never" => Deadline::NEVER,
            "past" => Deadline::after(Duration::ZERO),
            ms => Deadline::after(Duration::from_millis(ms.parse().unwrap_or(0))),
        }
    }
}
