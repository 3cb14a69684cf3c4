// The licence check of a tutorial. It does less than Countersign: no check symbols, hashes,
// wildcards, Unicode names, versions, grace or public suffixes, and it accepts unknown fields.

export async function respond(request, find) {
  if (new URL(request.url).pathname === "/healthz") {
    return Response.json({ status: "ok" }, { headers });
  }
  const { key, domain } = await request.json();
  const license = await find(key);
  if (!license) {
    return Response.json({ valid: false, code: "NOT_FOUND" }, { status: 404, headers });
  }
  const code = reason(license, domain);
  const { plan, features, expiresAt = null, id, product } = license;
  return Response.json({ valid: code === "VALID", code, plan, features, expiresAt, licenseId: id, product, domain }, { headers });
}

const headers = { "cache-control": "no-store", "access-control-allow-origin": "*" };

function reason(license, domain) {
  if (license.status === "revoked") return "REVOKED";
  if (license.expiresAt && Date.now() >= Date.parse(license.expiresAt)) return "EXPIRED";
  if (license.domains.length > 0 && !license.domains.includes(domain?.toLowerCase())) return "DOMAIN_MISMATCH";
  return "VALID";
}
