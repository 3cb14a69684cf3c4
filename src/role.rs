//! What a vendor's token allows.

words! {
    /// What a vendor's token allows. Each role includes those before it.
    pub enum Role {
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
