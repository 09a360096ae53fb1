//! Did you mean …?

/// The known word nearest to `word`, if one is near enough to be a slip of the fingers.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > 64 {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let near = known
        .into_iter()
        .filter(|k| k.len().abs_diff(word.len()) <= 4 * allowed && k.len() <= 64)
        .map(|k| (strsim::damerau_levenshtein(word, k), k));
    near.filter(|(distance, k)| *distance <= allowed && *distance < k.chars().count()).min().map(|(_, k)| k)
}

/// `, did you mean …?` or the list of what is known, for the place of a problem.
pub fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    if let Some(close) = did_you_mean(word, known.clone()) {
        return format!("did you mean `{close}`?");
    }
    let names: Vec<&str> = known.into_iter().take(13).collect();
    match names.len() {
        0 => "none is declared".into(),
        1..=12 => format!("known: {}", names.join(", ")),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["hosts", "tenant", "place", "volumes"];
        assert_eq!(did_you_mean("hots", known), Some("hosts"));
        assert_eq!(did_you_mean("tennant", known), Some("tenant"));
        assert_eq!(did_you_mean("palce", known), Some("place"));
        assert_eq!(did_you_mean("replicas", known), None);
        assert_eq!(did_you_mean(&"x".repeat(100_000), known), None);
    }
}
