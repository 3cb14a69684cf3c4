//! What a vendor's token allows.

words! {
    /// What a vendor's token allows. Each role includes those before it, but `edge`: that one is
    /// for a machine, and allows what no other does.
    pub enum Role {
        /// Is an edge: reads and writes what validators need, licence by licence.
        Edge = "edge",
        /// Reads everything.
        Reader = "reader",
        /// Helps holders: suspends and resumes licences, and changes their domains, owner and
        /// metadata.
        Support = "support",
        /// Issues licences and changes them in every way.
        Issuer = "issuer",
        /// Does everything.
        Admin = "admin",
    }
}

impl Role {
    /// Whether who has this role may do what requires `required`.
    pub fn includes(self, required: Self) -> bool {
        (self == Self::Edge) == (required == Self::Edge) && self >= required
    }
}
