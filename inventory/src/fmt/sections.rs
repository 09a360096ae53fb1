//! The order of sections, and the blank lines between them.

use super::layout::{Line, Role};

/// A section with the comments above it.
struct Chunk {
    rank: usize,
    scalar: bool,
    lines: Vec<Line>,
}

/// Puts lines together to a text: sections in canonical order unless `reorder` is false.
pub fn arrange(lines: &[Line], reorder: bool) -> String {
    let (head, mut chunks, tail) = split(lines);
    let one_document = !lines.iter().skip(1).any(|line| line.role == Role::Marker);
    if reorder && one_document {
        chunks.sort_by_key(|chunk| chunk.rank);
    }
    let mut out: Vec<Line> = trimmed(head);
    let head_is_marker = out.last().is_some_and(|line| line.role == Role::Marker);
    let mut last_scalar = false;
    for (index, chunk) in chunks.into_iter().enumerate() {
        let together = index > 0 && last_scalar && chunk.scalar && is_section(chunk.lines.first());
        let kept_blank = out.last().is_some_and(|line| line.role == Role::Raw && line.text.is_empty());
        let first_behind_marker = index == 0 && head_is_marker;
        let apart = !together && !kept_blank && !first_behind_marker;
        if apart && !out.is_empty() {
            out.push(blank());
        }
        last_scalar = chunk.scalar;
        out.extend(trimmed(chunk.lines));
    }
    let tail = trimmed(tail);
    if !tail.is_empty() && !out.is_empty() {
        out.push(blank());
    }
    out.extend(tail);
    let mut text = String::new();
    for line in &out {
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

fn blank() -> Line {
    Line { text: String::new(), role: Role::Blank }
}

fn is_section(line: Option<&Line>) -> bool {
    matches!(line, Some(Line { role: Role::Section { .. }, .. }))
}

/// What stands above the first section and is no comment of its own, the sections, and what stands below the last.
fn split(lines: &[Line]) -> (Vec<Line>, Vec<Chunk>, Vec<Line>) {
    let mut head = Vec::new();
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut waiting: Vec<Line> = Vec::new();
    for line in lines {
        match line.role {
            Role::Section { rank, scalar } => {
                if chunks.is_empty() {
                    head = take_head(&mut waiting);
                }
                let mut own = std::mem::take(&mut waiting);
                own.push(line.clone());
                chunks.push(Chunk { rank, scalar, lines: own });
            }
            Role::Blank | Role::Marker => waiting.push(line.clone()),
            Role::Comment if line.text.starts_with('#') => waiting.push(line.clone()),
            // Inside a section: whatever waited belongs to it too.
            _ => match chunks.last_mut() {
                Some(chunk) => {
                    chunk.lines.append(&mut waiting);
                    chunk.lines.push(line.clone());
                }
                None => waiting.push(line.clone()),
            },
        }
    }
    if chunks.is_empty() { (waiting, chunks, Vec::new()) } else { (head, chunks, waiting) }
}

/// Of the lines above the first section, those up to the last blank line or marker speak for the whole file.
fn take_head(waiting: &mut Vec<Line>) -> Vec<Line> {
    let end = waiting.iter().rposition(|line| matches!(line.role, Role::Blank | Role::Marker)).map_or(0, |at| at + 1);
    waiting.drain(..end).collect()
}

/// Without blank lines at both ends, and never two in a row; inside values all stay.
fn trimmed(lines: Vec<Line>) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        let after_blank = out.last().is_none_or(|last| last.role == Role::Blank);
        if line.role != Role::Blank || !after_blank {
            out.push(line);
        }
    }
    while out.last().is_some_and(|line| line.role == Role::Blank) {
        out.pop();
    }
    out
}
