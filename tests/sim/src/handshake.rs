//! What a TLS 1.3 server says in the clear of a handshake: whether it takes up an earlier session, and so never looks at
//! the certificate that this client has now. It must not believe either end's own word for it.

/// No server says more than this before all is encrypted, in bytes.
const CLEAR_MAX: usize = 16 * 1024;

/// Kinds of records and of handshake messages, and the extension that names an earlier session.
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const PRE_SHARED_KEY: u16 = 41;

/// The random number of a hello that only asks for another hello.
const RETRY: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

/// What a server has said so far, while it may still be in the clear.
#[derive(Debug, Default)]
pub(crate) struct Clear {
    said: Vec<u8>,
    known: bool,
}

impl Clear {
    /// The server says this next. True, once, when it takes up an earlier session.
    pub(crate) fn says(&mut self, bytes: &[u8]) -> bool {
        if self.known {
            return false;
        }
        self.said.extend_from_slice(bytes);
        let resumes = resumes(&self.said);
        self.known = resumes.is_some() || self.said.len() > CLEAR_MAX;
        if self.known {
            self.said = Vec::new();
        }
        resumes == Some(true)
    }
}

/// None while more must be known.
fn resumes(mut said: &[u8]) -> Option<bool> {
    loop {
        let (kind, record) = (*said.first()?, vector(said.get(3..)?)?);
        match kind {
            CHANGE_CIPHER_SPEC => {}
            HANDSHAKE if record.first() == Some(&SERVER_HELLO) => {
                let retry = record.get(6..10)? == RETRY;
                if !retry {
                    return Some(names_session(record).unwrap_or(false));
                }
            }
            _ => return Some(false),
        }
        said = said.get(5 + record.len()..)?;
    }
}

/// Whether a hello has the extension: after version and random number come a session id, a cipher suite, a compression
/// method and the extensions.
fn names_session(hello: &[u8]) -> Option<bool> {
    let id_length = usize::from(*hello.get(38)?);
    let mut extensions = vector(hello.get(39 + id_length + 3..)?)?;
    while let Some(kind) = extensions.get(..2) {
        if u16::from_be_bytes([kind[0], kind[1]]) == PRE_SHARED_KEY {
            return Some(true);
        }
        let content = vector(extensions.get(2..)?)?;
        extensions = extensions.get(4 + content.len()..)?;
    }
    Some(false)
}

/// What follows a length of two bytes; none unless it is all there.
fn vector(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(..2)?;
    bytes.get(2..2 + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with a server's hello that has these extensions, each without content.
    fn hello(random: u8, extensions: &[u16]) -> Vec<u8> {
        let mut hello = vec![SERVER_HELLO, 0, 0, 0, 3, 3];
        hello.extend([random; 32]);
        hello.extend([2, 7, 7, 0x13, 0x01, 0]);
        hello.extend(u16::try_from(4 * extensions.len()).unwrap().to_be_bytes());
        for extension in extensions {
            hello.extend(extension.to_be_bytes());
            hello.extend([0, 0]);
        }
        let mut record = vec![HANDSHAKE, 3, 3];
        record.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
        record.extend(hello);
        record
    }

    #[test]
    fn a_session_that_is_taken_up_is_seen_however_it_comes_in_pieces() {
        let resumed = hello(9, &[43, PRE_SHARED_KEY]);
        for piece in [1, 7, resumed.len()] {
            let mut clear = Clear::default();
            let seen = resumed.chunks(piece).filter(|piece| clear.says(piece)).count();
            assert_eq!(seen, 1);
            assert!(!clear.says(&resumed), "it is said once");
        }
    }

    #[test]
    fn a_session_of_its_own_is_none_that_is_taken_up() {
        let mut clear = Clear::default();
        assert!(!clear.says(&hello(9, &[43, 51])));
        assert!(!clear.says(&hello(9, &[PRE_SHARED_KEY])), "all that follows is encrypted, or no handshake");
        assert!(!Clear::default().says(b"HTTP/1.1 400"));
    }

    #[test]
    fn after_a_hello_that_asks_for_another_the_next_one_counts() {
        let mut retry = hello(9, &[43]);
        retry[11..15].copy_from_slice(&RETRY);
        let mut clear = Clear::default();
        assert!(!clear.says(&retry));
        assert!(!clear.says(&[CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1]));
        assert!(clear.says(&hello(9, &[PRE_SHARED_KEY])));
    }
}
