//! One request as the handlers see it: who asks, what was typed, how pages should look.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, Uri, header, request::Parts},
};

use crate::{desk::Who, page::Failure};

/// What a form or a query string carried, in order; names may repeat. No `Debug`: it holds what
/// people typed.
#[derive(Clone, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// The query string of an address.
    pub(crate) fn of_query(uri: &Uri) -> Self {
        Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|Query(pairs)| Self(pairs))
            .unwrap_or_default()
    }

    /// The first value of that name without surrounding space; empty when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value.trim())
    }

    /// The value, when something was typed.
    pub(crate) fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name))
            .filter(|v| !v.is_empty())
            .map(String::from)
    }

    /// Whether a box of that name was ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// All values of a repeated name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.trim())
    }

    /// Puts a value in place of all values of that name.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(n, _)| n != name);
        self.0.push((name.to_owned(), value.into()));
    }
}

/// Size and colours, chosen per browser (显示设置).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Display {
    pub(crate) size: &'static str,
    pub(crate) theme: &'static str,
}

impl Display {
    pub(crate) const SIZES: [(&'static str, &'static str); 3] =
        [("normal", "标准"), ("large", "大字"), ("xlarge", "特大")];
    pub(crate) const THEMES: [(&'static str, &'static str); 3] =
        [("light", "浅色"), ("dark", "深色"), ("contrast", "高对比")];

    /// The settings those words name; unknown words keep what `self` has.
    pub(crate) fn with(self, size: &str, theme: &str) -> Self {
        let pick = |all: &[(&'static str, &'static str)], word: &str, old| {
            all.iter()
                .find(|(w, _)| *w == word)
                .map_or(old, |(w, _)| *w)
        };
        Self {
            size: pick(&Self::SIZES, size, self.size),
            theme: pick(&Self::THEMES, theme, self.theme),
        }
    }

    /// From the cookie's value, `large.dark`.
    pub(crate) fn of_cookie(value: &str) -> Self {
        let (size, theme) = value.split_once('.').unwrap_or((value, ""));
        Self::default().with(size, theme)
    }
}

impl Default for Display {
    fn default() -> Self {
        Self {
            size: Self::SIZES[0].0,
            theme: Self::THEMES[0].0,
        }
    }
}

/// Name of the cookie that keeps [`Display`].
pub(crate) const DISPLAY_COOKIE: &str = "cuntong-display";

/// A request that passed the guard.
#[derive(Clone)]
pub(crate) struct Visit(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) who: Option<Who>,
    /// BLAKE3 of the session cookie's value, when there is one.
    pub(crate) session: Option<[u8; 32]>,
    /// Proves that a form came from one of our pages, for browsers that prove nothing.
    pub(crate) form_token: String,
    pub(crate) display: Display,
    pub(crate) path: String,
    /// GET or HEAD: the address can be opened again.
    pub(crate) safe: bool,
    pub(crate) query: Fields,
    pub(crate) form: Fields,
    /// Files that came with the form.
    pub(crate) files: Vec<Upload>,
}

/// A file as a browser sent it: nothing about it is to be believed. No `Debug`: it holds what people
/// brought.
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Visit {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The person, on pages that only signed-in people reach.
    pub(crate) fn who(&self) -> Result<&Who, Failure> {
        self.0.who.as_ref().ok_or(Failure::SignedOut)
    }
}

impl std::ops::Deref for Visit {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(Failure::SignedOut)
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_settings_keep_only_words_we_know() {
        let display = Display::of_cookie("xlarge.<script>");
        assert_eq!((display.size, display.theme), ("xlarge", "light"));
    }

    #[test]
    fn a_name_may_repeat_and_values_are_trimmed() {
        let uri: Uri = "/x?place=s1&place=%20s2&q=%E6%9D%8E".parse().unwrap();
        let fields = Fields::of_query(&uri);
        assert_eq!(fields.all("place").collect::<Vec<_>>(), ["s1", "s2"]);
        assert_eq!(fields.get("q"), "李");
        assert_eq!(fields.get("none"), "");
    }
}
