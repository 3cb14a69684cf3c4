//! What a token lets its holder do.

use countersign::name::UnknownWord;

/// What a token lets its holder do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Reads.
    Reader,
    /// Helps holders: suspends, resumes, changes domains and owners.
    Support,
    /// Issues and changes licences.
    Issuer,
    /// Does everything.
    Admin,
}

impl Role {
    const ALL: [Self; 4] = [Self::Reader, Self::Support, Self::Issuer, Self::Admin];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Support => "support",
            Self::Issuer => "issuer",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_an_order_and_a_word() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::ALL.into_iter().all(|role| role.as_str().parse() == Ok(role)));
        assert!("Admin".parse::<Role>().is_err());
    }
}
