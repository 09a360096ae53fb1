//! The few words of the tar format that a bundle needs: plain files, in the form of POSIX (ustar), without times and owners, so
//! that equal files make equal bytes. Any tar reads what is written here; what is read here was written here.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// Sizes from here on do not fit into eleven octal digits.
const OCTAL: u64 = 1 << 33;

/// Writes one file; `content` must give `size` bytes.
pub fn append(out: &mut impl Write, name: &str, size: u64, content: &mut impl Read) -> io::Result<()> {
    out.write_all(&header(name, size)?)?;
    let written = io::copy(&mut content.take(size), out)?;
    if written != size || content.read(&mut [0])? != 0 {
        return Err(io::Error::other(format!("{name} changed while it was read")));
    }
    out.write_all(&vec![0; padding(size)])
}

/// Ends the archive.
pub fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn header(name: &str, size: u64) -> io::Result<[u8; BLOCK]> {
    let too_long = || io::Error::other(format!("the path {name} is too long for an archive"));
    let (prefix, name) = split(name).ok_or_else(too_long)?;
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    match size {
        ..OCTAL => put(124, format!("{size:011o}\0").as_bytes()),
        _ => {
            put(124, &[0x80]);
            put(128, &size.to_be_bytes());
        }
    }
    put(136, b"00000000000\0        0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// A long path is cut at a slash: at most 155 bytes, and at most 100.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= 100 {
        return Some(("", name));
    }
    let mut cuts = name.match_indices('/').map(|(at, _)| (&name[..at], &name[at + 1..]));
    cuts.find(|(prefix, rest)| prefix.len() <= 155 && rest.len() <= 100 && !rest.is_empty())
}

/// Reads an archive, file by file.
pub struct Archive<R> {
    from: R,
    /// Bytes of the last file that nobody has read, with what fills its last block.
    left: u64,
}

/// One file of an archive.
pub struct File<'a, R> {
    /// Its path.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// Its content.
    pub content: io::Take<&'a mut R>,
}

impl<R: Read> Archive<R> {
    /// From its beginning on.
    pub fn new(from: R) -> Self {
        Self { from, left: 0 }
    }

    /// The next file; none: the archive has ended. A file must be read to its end before the next one.
    pub fn file(&mut self) -> io::Result<Option<File<'_, R>>> {
        io::copy(&mut (&mut self.from).take(self.left), &mut io::sink())?;
        let mut block = [0; BLOCK];
        self.from.read_exact(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "it is not a bundle, or damaged");
        let mut summed = block;
        summed[148..156].fill(b' ');
        let sum: u32 = summed.iter().map(|byte| u32::from(*byte)).sum();
        let text = |at: usize, length: usize| {
            let field = &block[at..at + length];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
            std::str::from_utf8(&field[..end]).map_err(|_| odd())
        };
        let octal = |at, length| u64::from_str_radix(text(at, length)?.trim_matches(' '), 8).map_err(|_| odd());
        if octal(148, 8)? != u64::from(sum) || &block[257..262] != b"ustar" || block[156] != b'0' {
            return Err(odd());
        }
        let size = match block[124] {
            0x80 => u64::from_be_bytes(block[128..136].try_into().map_err(|_| odd())?),
            _ => octal(124, 12)?,
        };
        let (prefix, rest) = (text(345, 155)?, text(0, 100)?);
        let name = if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") };
        self.left = padding(size) as u64;
        Ok(Some(File { name, size, content: (&mut self.from).take(size) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_here_and_by_any_tar() {
        let long = format!("{}/{}", "d/".repeat(60), "n".repeat(90));
        let files = [("a", vec![]), ("b/ü", vec![7; 512]), (&*long, b"x".repeat(1000))];
        let mut bytes = Vec::new();
        for (name, content) in &files {
            append(&mut bytes, name, content.len() as u64, &mut &content[..]).expect("written");
        }
        finish(&mut bytes).expect("written");
        let mut archive = Archive::new(&bytes[..]);
        for (name, content) in &files {
            let mut file = archive.file().expect("read").expect("one more");
            let mut found = Vec::new();
            file.content.read_to_end(&mut found).expect("read");
            assert_eq!((&*file.name, &found), (*name, content));
        }
        assert!(archive.file().expect("read").is_none());

        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x.tar"), &bytes).expect("written");
        let tar = std::process::Command::new("tar").args(["-xf", "x.tar"]).current_dir(&folder).status();
        assert!(tar.expect("tar is there").success());
        assert_eq!(std::fs::read(folder.path().join(&*long)).expect("there"), files[2].1);
    }

    #[test]
    fn sizes_beyond_eight_gib_round_trip() {
        let block = header("x", 1 << 40).expect("it fits");
        let file = Archive::new(&block[..]).file().expect("read").map(|file| file.size);
        assert_eq!(file, Some(1 << 40));
    }

    #[test]
    fn what_changes_while_it_is_read_or_is_too_long_is_refused() {
        for content in [&b"1234"[..], b"123456"] {
            assert!(append(&mut Vec::new(), "x", 5, &mut &content[..]).is_err());
        }
        assert!(header(&"x".repeat(101), 0).is_err());
        assert!(Archive::new(&[1; 1024][..]).file().is_err());
    }
}
