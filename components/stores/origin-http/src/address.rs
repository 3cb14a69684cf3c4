//! The address of the origin, as the operator set it.

/// Checks the setting `origin_url` and adds a path to it.
///
/// # Errors
///
/// Says what is wrong with the address. Tokens travel to it, so it is `https`, or `http` on the
/// same machine.
pub(crate) fn join(base: &str, path: &str) -> Result<String, &'static str> {
    let base = base.trim().trim_end_matches('/');
    let (scheme, rest) = base.split_once("://").ok_or("origin_url must begin with https://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || rest.contains(['?', '#', '@', '\\']) || !rest.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(
            "origin_url must be an address such as https://licenses.example.com, without user, query or fragment",
        );
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(authority) => {}
        "http" => return Err("origin_url must begin with https://, because the edge's token is sent there"),
        _ => return Err("origin_url must begin with https://"),
    }
    Ok(format!("{base}{path}"))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn an_address_may_have_a_path_and_a_slash_at_its_end() {
        for (base, joined) in [
            ("https://a.example", "https://a.example/get"),
            ("https://a.example:8443/licences/", "https://a.example:8443/licences/get"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/get"),
            ("http://[::1]:3000/", "http://[::1]:3000/get"),
            (" http://localhost ", "http://localhost/get"),
        ] {
            assert_eq!(join(base, "/get").as_deref(), Ok(joined));
        }
    }

    #[test]
    fn an_address_that_would_send_the_token_in_the_clear_or_elsewhere_is_refused() {
        for base in [
            "",
            "a.example",
            "ftp://a.example",
            "http://a.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "https://",
            "https://user@a.example",
            "https://a.example?x=1",
            "https://a.example#x",
            "https://a.example\\@b.example",
            "https://a example",
        ] {
            assert!(join(base, "/get").is_err(), "{base}");
        }
    }
}
