//! Finds the names that a template uses, with their places.
//!
//! The template engine tells which names are free, but neither their fields nor where they stand. This scanner reads the code
//! parts of a template that is known to be well formed.

use std::ops::Range;

/// A name at the head of `name.key`.
#[derive(Debug, PartialEq, Eq)]
pub struct Use<'t> {
    /// The name.
    pub root: &'t str,
    /// What follows as `.key`, `["key"]`.
    pub key: Option<String>,
    /// The place of both.
    pub at: Range<usize>,
    /// Whether it is given a meaning here, by `set` or `for`.
    pub assigned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Ident(&'t str),
    Str(&'t str),
    /// `.`, `?.`
    Dot,
    /// `[`, `?[`
    Bracket,
    Other(char),
}

/// All uses of names, in order.
pub fn uses(text: &str) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = next_open(text, at) {
        let kind = text.as_bytes()[open + 1];
        at = match kind {
            b'#' => text[open..].find("#}").map_or(text.len(), |n| open + n + 2),
            _ => {
                let (tokens, end) = tokens(text, open + 2, if kind == b'{' { "}}" } else { "%}" });
                if is_raw(&tokens) { end_of_raw(text, end) } else { collect(&tokens, &mut found, end) }
            }
        };
    }
    found
}

fn next_open(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len().saturating_sub(1)).find(|&n| bytes[n] == b'{' && matches!(bytes[n + 1], b'{' | b'%' | b'#'))
}

fn is_raw(tokens: &[(Token<'_>, Range<usize>)]) -> bool {
    matches!(tokens.iter().map(|t| t.0).find(|t| *t != Token::Other('-')), Some(Token::Ident("raw")))
}

fn end_of_raw(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(open) = text[at..].find("{%").map(|n| at + n) {
        let (inside, end) = tokens(text, open + 2, "%}");
        let first = inside.iter().map(|t| t.0).find(|t| *t != Token::Other('-'));
        if first == Some(Token::Ident("endraw")) {
            return end;
        }
        at = open + 2;
    }
    text.len()
}

/// The tokens up to `close`, and the place behind it.
fn tokens<'t>(text: &'t str, from: usize, close: &str) -> (Vec<(Token<'t>, Range<usize>)>, usize) {
    let mut out = Vec::new();
    let mut at = from;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with(close) {
            return (out, at + close.len());
        }
        let (token, length) = match c {
            '"' | '\'' | '`' => {
                let end = closing_quote(rest, c);
                (Token::Str(&rest[1..end]), (end + 1).min(rest.len()))
            }
            '?' if rest.starts_with("?.") => (Token::Dot, 2),
            '?' if rest.starts_with("?[") => (Token::Bracket, 2),
            '.' => (Token::Dot, 1),
            '[' => (Token::Bracket, 1),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Token::Ident(&rest[..end]), end)
            }
            c => (Token::Other(c), c.len_utf8()),
        };
        if !matches!(token, Token::Other(c) if c.is_whitespace()) {
            out.push((token, at..at + length));
        }
        at += length;
    }
    (out, text.len())
}

/// Where the string that starts `rest` ends; its length when it does not.
fn closing_quote(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    rest.len()
}

fn collect<'t>(tokens: &[(Token<'t>, Range<usize>)], found: &mut Vec<Use<'t>>, end: usize) -> usize {
    let token = |n: usize| tokens.get(n).map(|t| t.0);
    for (n, (this, at)) in tokens.iter().enumerate() {
        let Token::Ident(root) = *this else { continue };
        let before = n.checked_sub(1).and_then(token);
        let named_argument = token(n + 1) == Some(Token::Other('=')) && token(n + 2) != Some(Token::Other('='));
        let set = matches!(before, Some(Token::Ident("set" | "set_global" | "for")));
        let second_of_for = before == Some(Token::Other(','))
            && n >= 3
            && token(n - 3) == Some(Token::Ident("for"))
            && token(n + 1) == Some(Token::Ident("in"));
        let assigned = set || second_of_for;
        if matches!(before, Some(Token::Dot | Token::Other('|'))) || (named_argument && !assigned) {
            continue;
        }
        let (key, last) = match (token(n + 1), token(n + 2), token(n + 3)) {
            (Some(Token::Dot), Some(Token::Ident(key)), _) => (Some(key.to_owned()), n + 2),
            (Some(Token::Bracket), Some(Token::Str(key)), Some(Token::Other(']'))) => (Some(key.to_owned()), n + 3),
            _ => (None, n),
        };
        let to = tokens.get(last).map_or(at.end, |t| t.1.end);
        found.push(Use { root, key, at: at.start..to, assigned });
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        uses(text)
            .into_iter()
            .filter(|u| ["self", "var", "hosts", "x"].contains(&u.root))
            .map(|u| {
                let mark = if u.assigned { "=" } else { "" };
                format!("{mark}{}", &text[u.at])
            })
            .collect()
    }

    #[test]
    fn names_are_found_in_code_and_nowhere_else() {
        let text = r#"hosts.a {# hosts.b #}{{ hosts.c }}{% raw %}{{ hosts.d }}{% endraw %}
            {%- for h in hosts["e-f"] -%}{{ h.hosts }} {{ "hosts.g" }}{% endfor %}{{ var.n | default(value=self.name) }}"#;
        assert_eq!(shown(text), ["hosts.c", "hosts[\"e-f\"]", "var.n", "self.name"]);
    }

    #[test]
    fn meanings_given_in_the_template_are_marked() {
        assert_eq!(shown("{% set x = 1 %}{% for k, x in var.m %}{% endfor %}{{ f(x=2) }}"), ["=x", "=x", "var.m"]);
    }

    #[test]
    fn unfinished_code_ends_with_the_text() {
        for text in ["{{", "{{ \"a", "{% raw %}", "{#", "{{ 'é", "{{ hosts[", "{"] {
            uses(text);
        }
    }
}
